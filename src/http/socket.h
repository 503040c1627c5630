/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel knows about a connected socket. One system call each. Thread rule: any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes have arrived that nobody has read. */
bool http_socket_has_unread(int fd);

/* Bytes can be sent, and the connection has not failed. */
bool http_socket_has_room(int fd);

/* Bytes received and bytes acknowledged by the peer so far, together; 0 if this is not TCP. */
uint64_t http_socket_moved(int fd);
