/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request in the server, and what all requests of a server share. Private to the server: to the
 * units that take a request from its head to its end (dispatch.h names them).
 */
#pragma once

#include "base/buf.h"
#include "http/access.h"
#include "http/auth.h"
#include "http/capacity.h"
#include "http/connection.h"
#include "http/drain.h"
#include "http/inflate.h"
#include "http/lanes.h"
#include "http/bounds.h"
#include "http/metrics.h"
#include "http/route.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

TAILQ_HEAD(http_stream_list, http_stream);

/* Set before the first request, except for what has a lock or is atomic. */
struct http_service {
        const struct http_route *routes;
        size_t n_routes;
        void *ctx; /* for handlers */
        void (*refused)(const struct http_route *route, unsigned status, void *ctx);
        bool is_unix;
        struct http_auth *auth; /* NULL: requests need no token */
        struct http_access_log access;
        struct http_metrics metrics;
        struct http_connections connections;
        struct http_capacity capacity;
        struct http_drain drain;
        struct http_lanes lanes;
        atomic_size_t body_bytes; /* of all requests */

        pthread_mutex_t streams_lock;    /* guards `streams`; taken before a stream's own lock */
        struct http_stream_list streams; /* stream.c */
        atomic_bool streams_end;
};

/*
 * The thread that may use a request, and the one that resumes its connection:
 *
 *     RECEIVING   the server's thread: its head and body come
 *     HANDLING    its handler, which runs on the server's thread and has not answered
 *     SUSPENDED   its handler, on another thread; the answer resumes the connection
 *     ANSWERED    the server's thread: it sends the answer
 *
 * http_request_answered() explains how two threads agree on which of them resumes.
 */
enum http_request_state {
        HTTP_REQUEST_RECEIVING,
        HTTP_REQUEST_HANDLING,
        HTTP_REQUEST_SUSPENDED,
        HTTP_REQUEST_ANSWERED,
};

struct http_request {
        struct http_service *service;
        struct MHD_Connection *mhd;
        struct http_connection *connection;
        const char *method;             /* as a label */
        const char *path_label;         /* a route's pattern, or "unmatched" */
        const struct http_route *route; /* NULL: refused */
        http_handler_fn *handler;       /* that answers; changed by http_request_defer() */
        void *kept;                     /* http_request_keep() */
        struct http_job job;            /* runs `handler` on a worker */
        struct http_params params;
        struct buf body;
        struct http_inflate *inflate; /* decodes the body; NULL: not compressed */
        size_t counted;               /* bytes of the body in service->body_bytes */
        size_t dropped;               /* bytes of a body that was read and dropped */
        struct buf headers;           /* of the answer: name, NUL, value, NUL, and so on */
        size_t n_headers;
        bool lost_header; /* one did not fit */
        uint64_t start_ns;
        _Atomic enum http_request_state state;
        unsigned status; /* 0: not answered */
        struct MHD_Response *response;
        char id[HTTP_REQUEST_ID_MAX + 1]; /* "": no memory for one */
        char *path;                       /* for the access log; NULL: not needed, or no memory */
        ssize_t answer_size;              /* bytes of the answer's body; -1: not known */
        const char *note_name;            /* NULL: no note */
        char note[HTTP_NOTE_MAX + 1];
        bool streams; /* the response is a stream */
        bool queued;  /* libmicrohttpd has taken the response */
        bool is_long; /* has a slot of service->capacity */
};
