/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intercepts the bytes that libmicrohttpd receives. Version 0.9.75 has no hook for them, but it
 * calls recv(), which gate.c defines for this program. Calls for a descriptor that has been
 * registered here go to its `receive` function; all others go to the C library.
 *
 *     struct connection { struct http_gate gate; ... };
 *     c->gate.receive = receive;        // finds its connection from the gate inside it
 *     http_gate_open(fd, &c->gate);     // when libmicrohttpd has accepted the connection
 *     ...
 *     http_gate_close(fd);              // before libmicrohttpd closes the descriptor
 *
 * Thread rule: a descriptor is opened, read and closed on the thread of its libmicrohttpd daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HTTP_GATE_FDS = 65536 }; /* only lower descriptors can be registered */

struct http_gate {
        /* Replaces recv() of this descriptor: the same arguments, results and errno. */
        ssize_t (*receive)(struct http_gate *gate, void *bytes, size_t n, int flags);
};

/* Registers a descriptor; `gate` is borrowed until http_gate_close(). False if its number is too
 * large. */
bool http_gate_open(int fd, struct http_gate *gate);
void http_gate_close(int fd);

/* True if libmicrohttpd's recv() is the one in gate.c. */
bool http_gate_is_in_effect(void);
