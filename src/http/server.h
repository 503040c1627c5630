/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server over libmicrohttpd: a table of routes, handlers that answer now or later.
 *
 *     static void hello(struct http_request *request, void *ctx)
 *     {
 *             http_answer_error(request, 404, "no %s here", http_request_param(request, "id"));
 *     }
 *     static const struct http_route routes[] = {{"GET", "/v1/things/{id}", hello}};
 *
 *     http_listen("127.0.0.1:0", &listener, &err);
 *     http_server_new(&(struct http_server_config){.listener = &listener, .routes = routes,
 *                     .n_routes = 1}, &server, &err);
 *     ...
 *     http_server_quiesce(server);    // nobody new; then end what handlers wait for
 *     http_server_free(server);
 *
 * A handler must answer each request exactly once, within its call or later from any thread; the
 * request is gone with the answer. It runs on the server's own thread, which serves everybody, or
 * with HTTP_ROUTE_BLOCKS on a worker. A client that hangs up while its answer is being worked on is
 * not noticed before the answer; nothing is cancelled.
 *
 * Every request gets a status. The server itself answers, as {"error": "…", "request_id": "…"}: 401
 * token missing or wrong; 403 without a token configured, a request that a web page could have sent
 * (origin.h: it has Origin, a Sec-Fetch-Site of another site, or a Host that is a name), since any page
 * can reach a server on its reader's loopback; 404 no such path; 405 with Allow; 413 body too large;
 * 429 too many wrong tokens; 503 too many bytes of bodies at once. An error known from the headers is
 * sent after the body has been read and dropped, so that the client sees it. The server does not wait
 * for a body beyond HTTP_DRAIN_MAX, or for one that waits for "100 Continue".
 *
 * Before a request is complete: 400 its framing is invalid (framing.h) or its client ended the stream,
 * 408 it did not arrive in time, 414 and 431 its headers are too large, 503 its connection was needed
 * for another one, 505 another major version. These have method "other" and path "unmatched" in the
 * metrics and a line in the access log, and the connection closes.
 *
 * A body may have Content-Encoding: gzip; it is decoded as it arrives, and limits apply to the decoded
 * bytes. A damaged or truncated one gets 400, another coding 415 with Accept-Encoding.
 *
 * Bounds: connections, bytes of a body (per route) and of all bodies together, bytes of the headers
 * (HTTP_HEADERS_MAX), seconds between requests (keep_alive_s), seconds without progress
 * (idle_timeout_s), and seconds to send the headers of a request, then its body, or to take an answer
 * (transfer_timeout_s), however steadily the bytes come: so neither a silent nor a slow client keeps a
 * connection for long. A large body or answer over a slow line is no slow client: each
 * HTTP_TRANSFER_STEP bytes earn the same time again (TCP only). While a handler has the request, no
 * limit applies: it may wait for as long as it likes. Limits are looked at once a second.
 *
 * There is always a connection for a short request. Where all are taken, a new one takes the place of
 * the one that has gone without a request for longest, or else of the one that has been sending or
 * receiving for longest. One with unread bytes is not idle. (There is no limit by address: behind a
 * proxy and on loopback all clients have the same.) Requests that take long by nature, of routes with HTTP_ROUTE_HOLDS or
 * HTTP_ROUTE_WAITS, are refused with 503 and Retry-After beyond 7/8 and 15/16 of all connections
 * (HTTP_KEPT_SHARE, HTTP_KEPT_MIN); so those that a client may hold as long as it likes do not keep
 * the others out either.
 *
 * Metrics: vulcan_http_requests_total{method,path,status} and
 * vulcan_http_request_duration_seconds{method,path}, from the headers being read to the answer
 * being sent; `path` is the pattern of the route or "unmatched", `method` is "other" when HTTP
 * knows none such, status 499 is a client that hung up before there was an answer.
 * vulcan_http_connections, vulcan_http_long_requests, vulcan_http_evicted_connections_total.
 *
 * Each request has an id, the client's X-Request-Id or a ULID: every response has it as X-Request-Id,
 * the body of an error as "request_id". With access_log it has a line in the log when it is over:
 * "request" with method, path (decoded, without what follows "?"), client, request_id, status, bytes,
 * duration_ms. Requests that libmicrohttpd refuses itself have method and status alone. Lines that
 * standard error does not take are dropped (base/log_writer.h) and counted:
 * vulcan_http_access_log_dropped_total.
 *
 * An answer may also be a stream (http_answer_stream()): a suspended connection costs its memory, not
 * a thread. At the end of the server streams are cut off after HTTP_GRACE_MS.
 *
 * Thread rule: http_server_*: one thread. http_request_*: the handler's thread until it answers.
 * http_answer*: any thread, once.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "http/listen.h"
#include "http/route.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_server;
struct prom_registry;

enum {
        /* Bytes of request line and headers, with what is noted of them. libmicrohttpd takes and
         * fills that much for each connection: most of what an idle one costs. */
        HTTP_HEADERS_MAX = 8 * 1024,
        HTTP_DRAIN_MAX = 32 * 1024 * 1024,   /* bytes of a refused body that are read and dropped */
        HTTP_BODIES_MAX = 256 * 1024 * 1024, /* bytes of all bodies together */
        HTTP_ANSWER_HEADERS_MAX = 4,         /* headers of http_answer_header() */
        HTTP_CLIENT_MAX = 64,
        HTTP_REQUEST_ID_MAX = 128, /* bytes of an X-Request-Id that is kept */
        HTTP_NOTE_MAX = 64,        /* bytes of a note; the rest is cut */
        HTTP_TOKEN_MIN = 16,       /* bytes of a bearer token, at least: shorter ones are guessed */
        HTTP_TOKEN_MAX = 4096,     /* and at most */
        /* Bytes of a body or an answer that must move in transfer_timeout_s, or else all of it. */
        HTTP_TRANSFER_STEP = 1024 * 1024,
        HTTP_GRACE_MS = 2000,   /* for answers on their way when the server ends */
        HTTP_KEPT_SHARE = 8,    /* of the connections, that part is kept for requests that do not */
        HTTP_KEPT_MIN = 16,     /* take long; at least that many, at most half of them */
        HTTP_RETRY_AFTER_S = 5, /* sent to a client that is refused for lack of capacity */
};

/* Which requests get a line in the log. */
enum http_access_setting {
        HTTP_ACCESS_OFF,
        HTTP_ACCESS_ERRORS /* 400 and above */,
        HTTP_ACCESS_ALL
};

struct http_server_config {
        struct http_listener *listener;  /* its fd is taken over; borrowed otherwise */
        const struct http_route *routes; /* borrowed */
        size_t n_routes;
        void *ctx;                         /* for the handlers */
        const char *token;                 /* copied; NULL: requests need none */
        unsigned max_connections;          /* 0: 1024 */
        unsigned workers;                  /* for HTTP_ROUTE_BLOCKS; 0: 4 */
        unsigned lane_workers[HTTP_LANES]; /* of them, for one lane at most; 0: all */
        unsigned idle_timeout_s;           /* 0: 30 */
        unsigned keep_alive_s;             /* 0: 75 */
        unsigned transfer_timeout_s;       /* 0: 120 */
        enum http_access_setting access_log;
        struct prom_registry *registry; /* NULL: no metrics */
        /* Called when the server itself answers a request of a route: 400, 401, 403, 413, 415, 429, 503.
         * On its thread; must not wait. May be NULL. */
        void (*refused)(const struct http_route *route, unsigned status, void *ctx);
};

int http_server_new(const struct http_server_config *config, struct http_server **ret,
                    struct err *err);

/* Accepts no more connections; those that are there are served on. Clients that still wait to be
 * accepted are told 503. */
void http_server_quiesce(struct http_server *server);

/*
 * Answers new requests on connections that are there with 503, waits until every handler has
 * answered, then up to HTTP_GRACE_MS for answers to be taken, closes all connections and frees.
 * Takes NULL.
 */
void http_server_free(struct http_server *server);

/* ---- in a handler ---- */

/* In a handler on the server's thread that finds that it would have to wait: `handler` answers in
 * its place, on a worker. Call it last. */
void http_request_defer(struct http_request *request, http_handler_fn *handler);

/* Keeps a pointer for the handler that a request is deferred to. */
void http_request_keep(struct http_request *request, void *pointer);
void *http_request_kept(const struct http_request *request);

/* The part of the path that "{name}" stood for. Never NULL for a name of the pattern. */
const char *http_request_param(const struct http_request *request, const char *name);

/* An argument behind the "?", decoded; "" for one without a value, NULL if it is not there. */
const char *http_request_query(const struct http_request *request, const char *name);

const char *http_request_header(const struct http_request *request, const char *name);

/* All headers, or arguments, of that name, in their order. Returns how many there are; `values` holds
 * the first `max` of them, which live as long as the request. */
size_t http_request_headers(const struct http_request *request, const char *name,
                            const char **values, size_t max);
size_t http_request_queries(const struct http_request *request, const char *name,
                            const char **values, size_t max);

/* The name of the first argument that is none of these (NULL ends them); NULL: there is none. Names
 * are the same whatever their case, as above. */
const char *http_request_unknown_query(const struct http_request *request,
                                       const char *const *known);

/* Who asks: "127.0.0.1:4711", "[::1]:4711", "unix". */
void http_request_client(const struct http_request *request, char ret[HTTP_CLIENT_MAX]);

/* Notes a word for the line of the access log, under a name that is a constant. The last note counts. */
void http_request_note(struct http_request *request, const char *name, const char *word);

/* When its headers had come: clock_ns(). */
uint64_t http_request_arrival_ns(const struct http_request *request);

/* The body; empty if there was none. */
const struct buf *http_request_body(const struct http_request *request);

/* Adds a header to the answer to come (at most HTTP_ANSWER_HEADERS_MAX, asserted). Text: copied. */
void http_answer_header(struct http_request *request, const char *name, const char *value);

/* Answers. The memory of `body` is taken over (it is empty afterwards); NULL for no body. */
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body);

/* Answers with a body that is lent: release(ctx) is called once, when it was sent or nobody wants it
 * any more, on any thread, perhaps before this returns. */
void http_answer_lent(struct http_request *request, unsigned status, const char *content_type,
                      const char *body, size_t n, void (*release)(void *ctx), void *ctx);

/*
 * Answers with a body that comes bit by bit, however long that takes: no deadline applies but that of
 * a client that takes nothing. read() is called on the server's thread and must not wait: it puts up
 * to `max` bytes into `bytes` and returns how many, 0 at the end of the body, or -EAGAIN when there
 * is nothing now; then it is called again after http_stream_wake(). gone() is the last call, when the
 * body has ended, the client has gone or the server ends: the stream is not there afterwards. It is
 * called even when the answer could not be made. The request is gone with this call; `ret` may be
 * used until gone() is called, which may be before this returns: *ret is written before any call.
 */
struct http_stream;

struct http_stream_source {
        ssize_t (*read)(void *ctx, char *bytes, size_t max);
        void (*gone)(void *ctx);
        void *ctx;
};

void http_answer_stream(struct http_request *request, const char *content_type,
                        const struct http_stream_source *source, struct http_stream **ret);

/* There is something to read. Any thread, until gone() is called. */
void http_stream_wake(struct http_stream *stream);

/* Answers {"error": message, "request_id": id}. */
void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
