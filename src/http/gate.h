/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intercepts the bytes that libmicrohttpd receives. Version 0.9.75 has no hook for them, but it calls
 * recv(), which gate.c defines for this program: calls for a descriptor that a server has registered
 * go to http_connection_receive(), all others to the C library.
 * Private. Thread rule: a descriptor is opened, read and closed on its server's thread.
 */
#pragma once

#include <stdbool.h>

struct http_connection;

enum { HTTP_GATE_FDS = 65536 }; /* descriptors below that number can be registered */

/* False if the number of the descriptor is too large. */
bool http_gate_open(int fd, struct http_connection *connection);
void http_gate_close(int fd);

/* True if libmicrohttpd's recv() is ours. */
bool http_gate_is_in_effect(void);
