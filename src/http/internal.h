/* SPDX-License-Identifier: Apache-2.0 */
/* What server.c (threads, connections), request.c (one request), ask.c and answer.c (the handlers'
 * side of it) and deadline.c share. Private. */
#pragma once

#include "http/auth.h"
#include "http/framing.h"
#include "http/gate.h"
#include "http/inflate.h"
#include "http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* What a connection owes. */
enum http_owing {
        HTTP_OWES_NOTHING, /* a handler has its request */
        HTTP_OWES_REQUEST, /* the headers of one */
        HTTP_OWES_BODY,    /* the body of its request */
        HTTP_OWES_TAKING,  /* to take its answer */
        HTTP_OWES_END,     /* it has been told that it is closed, and should close too */
        HTTP_OWING_COUNT,
};

/* A connection. Made and freed by the server's thread, which alone uses what is not marked. */
struct http_connection {
        struct http_gate gate;      /* first: http_connection_receive() gets its address */
        struct http_server *server; /* any thread */
        int fd;                     /* any thread */
        struct http_framing framing;
        uint64_t n_answered;       /* requests */
        _Atomic uint64_t heard_ns; /* when a byte last came, or it began to owe something */
        atomic_bool partial;       /* a request has begun to come and is not whole */
        atomic_bool told;          /* its client has had our last word: what comes is dropped */
        atomic_bool over;          /* it is to be closed */

        /* Under the lock of the deadlines. */
        TAILQ_ENTRY(http_connection) at; /* in the list of `owes` */
        enum http_owing owes;
        bool used;         /* has had a request */
        uint64_t limit_ns; /* for all of it */
        uint64_t look_ns;  /* OWES_TAKING: when bytes must have moved */
        uint64_t moved;    /* bytes, both ways, at the last such look, */
        uint64_t step;     /* and when its limit was last put off */
};

TAILQ_HEAD(http_connection_list, http_connection);

/* ---- connection.c ---- */

/* recv() of its socket. On the server's thread. */
ssize_t http_connection_receive(struct http_gate *gate, void *bytes, size_t n, int flags);

/* `n` more of its requests have been answered: a fault in what came after them is now. */
void http_connection_answered(struct http_connection *c, unsigned n);

/* Counts and logs a request that nobody could make sense of; `id` is what http_say() gave it. Any thread.
 */
void http_connection_count(struct http_connection *c, unsigned status, const char *id);

/* Writes a whole answer to a socket, without waiting. `message`: printable ASCII; `id`: of the
 * request, a ULID. Any thread. */
void http_say(int fd, unsigned status, const char *message, const char *id);

/* An address as http_request_client() writes it; NULL: "unix". */
void http_client_text(const struct sockaddr *addr, char ret[HTTP_CLIENT_MAX]);

/* ---- deadline.c ---- */

/*
 * Connections that must get on. Limits: idle_ns without a byte; time_ns for the headers of a request,
 * then for its body, then for taking the answer, where each HTTP_TRANSFER_STEP bytes of the last two
 * earn as much time again. Between requests keep_ns without a byte.
 *
 * A client that is late is told so: 408. It is not late while bytes of it wait to be read, or room for
 * an answer waits to be filled: then this server is. Afterwards the connection is kept for a moment
 * and what comes is dropped, since closing a socket with unread bytes may take the last words back.
 *
 * Each list is in the order in which its connections came to it.
 */
struct http_deadlines {
        struct http_server *server;
        pthread_mutex_t lock; /* guards all below */
        pthread_cond_t changed;
        struct http_connection_list lists[HTTP_OWING_COUNT];
        uint64_t idle_ns, keep_ns, time_ns;
        bool asleep; /* the watcher waits for nothing but to be told */
        bool quit;
        pthread_t thread;
};

int http_deadlines_start(struct http_deadlines *d, struct err *err);
void http_deadlines_stop(struct http_deadlines *d);

/* The server ends: requests that have begun to come, or wait to be read, are told 503. */
void http_deadlines_end(struct http_deadlines *d);

/* From now on it owes this; not HTTP_OWES_END. False: it has been told that it is closed, so there is
 * no request to be handled and nothing more to be said. */
bool http_deadline_set(struct http_connection *c, enum http_owing owes);

/* When the connection is gone. */
void http_deadline_forget(struct http_connection *c);

/*
 * Our last word to a client; counted as an answer. Nothing more of what it sends reaches
 * libmicrohttpd. The first one counts. Any thread.
 */
void http_connection_tell(struct http_connection *c, unsigned status, const char *message);

/*
 * Makes room for one more connection, if there is none: ends the one that has waited longest for a
 * request of which no byte has come, or else is longest at sending a request, or at taking an answer.
 * One that sends is told 503.
 */
void http_deadlines_make_room(struct http_deadlines *d);

/*
 * Who may touch a request: the server's thread in RECEIVING and ANSWERED, the handler in HANDLING
 * and SUSPENDED. HANDLING is a handler on the server's thread that has not answered yet.
 */
enum http_request_state { RECEIVING, HANDLING, SUSPENDED, ANSWERED };

/*
 * A body that comes bit by bit (stream.c). Made by the handler; read and freed on the server's
 * thread. `suspended` and `woken` make sure that no wake is lost between "nothing now" and the
 * suspension.
 */
struct http_stream {
        struct http_server *server;
        struct MHD_Connection *mhd;
        struct http_connection *connection;
        struct http_stream_source source;
        pthread_mutex_t lock; /* guards suspended and woken; libmicrohttpd's locks come after it */
        bool suspended, woken;
        TAILQ_ENTRY(http_stream) at; /* in server->streams; under its lock */
};

TAILQ_HEAD(http_stream_list, http_stream);

struct http_request {
        struct http_server *server;
        struct MHD_Connection *mhd;
        struct http_connection *connection;
        const char *method;             /* as a label */
        const char *path_label;         /* pattern or "unmatched" */
        const struct http_route *route; /* NULL: refused */
        http_handler_fn *handler;       /* that answers; changed by http_request_defer() */
        void *kept;                     /* the handlers' own */
        struct http_params params;
        struct buf body;
        struct http_inflate *inflate; /* decodes the body; NULL: it is as it came */
        size_t counted;               /* bytes of body that are in server->body_bytes */
        size_t dropped;               /* bytes of body read and dropped */
        size_t n_headers;
        struct {
                char *name, *value;
        } headers[HTTP_ANSWER_HEADERS_MAX];
        uint64_t start_ns;
        _Atomic enum http_request_state state;
        unsigned status; /* 0: no answer yet */
        struct MHD_Response *response;
        char id[HTTP_REQUEST_ID_MAX + 1]; /* "": there is none */
        char *path;                       /* for the access log; NULL: it is off */
        ssize_t answer_size;              /* bytes of the answer's body; -1: not known */
        const char *note;                 /* of http_request_note(); NULL: none */
        char word[HTTP_NOTE_MAX + 1];
        bool streams;                 /* the response is a stream */
        bool queued;                  /* the response was handed to libmicrohttpd */
        bool is_long;                 /* counted in server->n_long */
        TAILQ_ENTRY(http_request) at; /* in server->lanes */
};

TAILQ_HEAD(http_request_list, http_request);

/* Requests that wait for a worker. */
struct http_lane {
        struct http_request_list jobs;
        unsigned max, n_running; /* workers in it at most, and now */
};

struct http_server {
        struct MHD_Daemon *daemon;
        int quiesced_fd; /* the listening socket when nobody is accepted any more; -1: none */
        const struct http_route *routes;
        size_t n_routes;
        void *ctx;
        void (*refused)(const struct http_route *route, unsigned status, void *ctx);
        bool is_unix;
        struct http_auth *auth; /* NULL: requests need no token */
        enum http_access_setting access_log;
        struct http_deadlines deadlines;
        atomic_size_t body_bytes; /* of all requests */

        /* The server's thread alone. */
        unsigned max_connections;
        atomic_uint n_connections; /* changed by that thread alone */
        unsigned n_long;           /* requests of HTTP_ROUTE_WAITS and HTTP_ROUTE_HOLDS under way */

        pthread_mutex_t lock; /* guards all below but closing; before a stream's */
        pthread_cond_t idle;  /* n_active fell */
        pthread_cond_t work;  /* jobs or quit */
        size_t n_active;      /* requests from their headers to their end */
        size_t n_handled;     /* of those, the ones that a handler has to answer */
        struct http_lane lanes[HTTP_LANES];
        unsigned next_lane; /* where to look for work first */
        struct http_stream_list streams;
        atomic_bool closing; /* streams end now */
        bool ending;         /* no handler is called any more */
        bool quit;
        pthread_t *workers;
        unsigned n_workers;

        struct prom_family *requests, *duration; /* NULL without a registry */
        struct prom_gauge *connections, *long_requests;
        struct prom_counter *evicted;
        struct prom_family *auth_failures;
        struct prom_counter *access_dropped;
};

/* libmicrohttpd's callbacks for a request. */
enum MHD_Result http_request_on_call(void *server, struct MHD_Connection *mhd, const char *url,
                                     const char *method, const char *version, const char *data,
                                     size_t *size, void **request);
void http_request_on_completed(void *server, struct MHD_Connection *mhd, void **request,
                               enum MHD_RequestTerminationCode why);

/* Hands the response over and lets the connection go on; the last use of the request. */
void http_request_answered(struct http_request *request);

/* Decides on an answer that no handler gives; it is sent when the body has come. The first counts.
 * Server's thread. */
void http_request_refuse(struct http_request *request, unsigned status, const char *message);

/* Adds what every response has: the headers. */
void http_request_add_headers(struct http_request *request, struct MHD_Response *response,
                              const char *content_type);

/* Cuts all streams off. */
void http_streams_end(struct http_server *server);

/* True if another request of a route with these flags may be under way. */
bool http_server_has_room(const struct http_server *server, unsigned route_flags);

/* Puts a request before the workers. */
void http_server_enqueue(struct http_server *server, struct http_request *request);
