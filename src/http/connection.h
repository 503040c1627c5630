/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a server, and what each of them has to do next. Private to the server.
 *
 * A connection is in one phase (enum http_phase). Each phase but HANDLER has a time limit, which
 * deadline.h enforces, and a list of its connections in the order in which they entered it: evict.h
 * takes the first of a list when a new connection needs a slot.
 *
 * A connection may be refused: it gets one last response, which does not go through libmicrohttpd,
 * and enters the phase CLOSING. From then on whatever its client sends is dropped (receive.h), and
 * no request of it is handled. Its socket stays open for up to HTTP_CLOSING_MS, because closing a
 * socket with unread bytes resets the connection, and a reset may discard the response before its
 * client has read it.
 *
 * Thread rule: the server's thread opens and closes connections. Only that thread uses fields
 * without a note. Functions ending in _locked need all->lock. No other lock is taken under it,
 * except those of the log and of metrics.
 */
#pragma once

#include "http/access.h"
#include "http/framing.h"
#include "http/gate.h"
#include "http/metrics.h"
#include "http/wheel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { HTTP_CLOSING_MS = 2000 };

enum http_phase {
        HTTP_PHASE_HANDLER,  /* a handler has the request: no limit applies */
        HTTP_PHASE_HEAD,     /* the client sends a request's head, or nothing between requests */
        HTTP_PHASE_BODY,     /* the client sends a request's body */
        HTTP_PHASE_RESPONSE, /* the client takes a response */
        HTTP_PHASE_CLOSING,  /* the connection was refused and its client should close it */
        HTTP_PHASES,
};

struct http_connections;

struct http_connection {
        struct http_gate gate;        /* first: http_receive() gets its address */
        struct http_connections *all; /* any thread */
        int fd;                       /* any thread */
        struct http_framing framing;
        uint64_t n_answered; /* requests */

        /*
         * Changed by the server's thread without the lock, whenever bytes come, and read by the
         * thread of the deadlines. That thread may read a value that is about to change: then it
         * finds the connection late although a byte has just come, which is the same to the client
         * as if the byte had come a moment later. No other decision depends on them.
         */
        _Atomic uint64_t heard_ns; /* when bytes came last, or it entered its phase */
        atomic_bool partial;       /* a request has begun and is incomplete */

        /* Set once, under the lock, and read without it by the server's thread in recv(): a late
         * read takes one more piece of the socket, as if it had come before. */
        atomic_bool refused;
        atomic_bool cut; /* recv() reports the end */

        /* Under the lock. */
        TAILQ_ENTRY(http_connection) at; /* in all->phases[phase] */
        struct http_timer timer;
        enum http_phase phase;
        bool used;            /* has had a request */
        uint64_t limit_ns;    /* when the whole phase must be over */
        uint64_t progress_ns; /* RESPONSE: when bytes must have moved since the last look */
        uint64_t moved;       /* RESPONSE: http_socket_moved() at the last look; 0: none was */
        uint64_t step;        /* http_socket_moved() when the limit was last extended */
};

TAILQ_HEAD(http_connection_list, http_connection);

struct http_connections {
        /* Set before the first connection. */
        unsigned max;
        uint64_t idle_ns;     /* without a byte */
        uint64_t keep_ns;     /* without a byte, between requests */
        uint64_t transfer_ns; /* for a head, a body, or a response; see HTTP_TRANSFER_STEP */
        const struct http_metrics *metrics;
        const struct http_access_log *access;

        atomic_uint n; /* open; changed by the server's thread */

        pthread_mutex_t lock; /* guards all below */
        struct http_connection_list phases[HTTP_PHASES];
        struct http_wheel wheel;
        pthread_cond_t timer_set; /* for a watcher that sleeps, or should quit */
        bool sleeps;              /* the watcher waits for timer_set without a limit */
        bool quit;
};

/* The limits, `max`, `metrics` and `access` are the caller's to set. */
void http_connections_init(struct http_connections *all);
void http_connections_release(struct http_connections *all);

/*
 * Registers an accepted socket with the gate and enters HEAD; `receive` is for struct http_gate.
 * NULL: no memory, or a descriptor that the gate does not take.
 */
struct http_connection *http_connection_open(struct http_connections *all, int fd,
                                             ssize_t (*receive)(struct http_gate *gate, void *bytes,
                                                                size_t n, int flags));

/* Unregisters and frees. The caller closes the socket. */
void http_connection_close(struct http_connection *c);

/*
 * Enters a phase, not CLOSING, and restarts its time limit. False: the connection was refused.
 * Then there is no request to handle and no response to send. Any thread.
 */
bool http_connection_enter(struct http_connection *c, enum http_phase phase);

/*
 * Sends the last response and enters CLOSING. Counts and logs it as a request that could not be
 * read: method "other", path "unmatched". Does nothing if the connection has been refused. Any
 * thread.
 */
void http_connection_refuse(struct http_connection *c, unsigned status, const char *message);

/* As above; `counts`: false where no request had begun. */
void http_connection_refuse_locked(struct http_connection *c, unsigned status, const char *message,
                                   bool counts);

/* Ends a connection without a response: recv() reports its end, and libmicrohttpd closes it. */
void http_connection_cut_locked(struct http_connection *c);

/* Notes that the response to n requests was sent. A fault that framing found after them is reported
 * now, since responses must come in the order of requests. Server's thread. */
void http_connection_answered(struct http_connection *c, unsigned n);

/* True between requests: one has been answered, and no byte of the next has arrived. */
bool http_connection_is_kept_locked(const struct http_connection *c);

/* Sets the timer to the earliest time at which a limit of its phase can have passed. */
void http_connection_set_timer_locked(struct http_connection *c);
