/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives for libmicrohttpd: passes on bytes of requests whose framing is valid (framing.h), and
 * no byte after a fault, after the last request of a connection, or after a refusal.
 *
 * Thread rule: the server's thread.
 */
#pragma once

#include "http/gate.h"

#include <sys/types.h>

/* recv() for a struct http_connection, whose first member is `gate`. */
ssize_t http_receive(struct http_gate *gate, void *bytes, size_t n, int flags);
