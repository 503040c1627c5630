/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of bench_http_shapes.c: libmicrohttpd with our recv() and our framing check, and a
 * plain TCP server that it proxies to.
 *
 *     POST /upload            consumes the body on a thread of its own, answers one byte
 *     GET  /download?size=N   sends N bytes that a thread produces
 *     GET  /stream            sends events (origin_event()) until origin_end()
 *     GET  /push              the same, but writes to the socket past libmicrohttpd
 *     GET  /websocket         echoes frames (RFC 6455)
 *     POST /proxy             passes the body to the other server, then its response back
 *     POST /duplex            the same, both ways at the same time
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { ORIGIN_FRAME_MAX = 4096 };

struct request;

extern struct origin {
        struct sockaddr_in address, upstream;
        _Atomic uint64_t n_produced,
                n_consumed;    /* bytes of the last download, of the last upload */
        atomic_uint n_refused; /* malformed requests */
        atomic_uint n_closed;  /* upgraded connections that have ended */
        atomic_uint n_streams;
        struct request **streams;
} origin;

/* While it is locked, uploads are not consumed. */
extern pthread_mutex_t origin_brake;

void origin_start(void);

/* Sends one byte to a stream, by the order in which they were opened. */
void origin_event(unsigned stream);

/* Ends the body of a stream. */
void origin_end(unsigned stream);
