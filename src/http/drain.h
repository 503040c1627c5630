/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the requests of a server, so that it can stop: libmicrohttpd aborts the program if it is
 * stopped while a handler still has a connection.
 *
 *     http_drain_begin(d);              // the head of a request is complete
 *     if (http_drain_handle(d))    // a handler is about to get it; false: the server stops
 *             ... http_drain_answered(d) when the handler has answered ...
 *     http_drain_end(d);                // the response has been sent, or the connection has ended
 *
 * Thread rule: any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_drain {
        pthread_mutex_t lock; /* guards all below; a leaf */
        pthread_cond_t fell;  /* a count fell to 0 */
        size_t n_active;      /* requests between begin and end */
        size_t n_handled;     /* those of them that a handler has yet to answer */
        bool stopping;
};

void http_drain_init(struct http_drain *d);
void http_drain_release(struct http_drain *d);

void http_drain_begin(struct http_drain *d);
bool http_drain_handle(struct http_drain *d);
void http_drain_answered(struct http_drain *d);
void http_drain_end(struct http_drain *d);

/* From now on no handler gets a request. Waits until each handler has answered, and then until all
 * requests have ended or clock_ns() is `until_ns`. */
void http_drain_stop(struct http_drain *d, uint64_t until_ns);
