/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server over libmicrohttpd: a table of routes (route.h), whose handlers read requests
 * (request.h) and answer them now or later (answer.h, stream.h).
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
 *     http_server_quiesce(server);    // no new connections; then end what handlers wait for
 *     http_server_free(server);
 *
 * A handler runs on the server's own thread, which serves all connections and must not wait, or
 * with HTTP_ROUTE_BLOCKS on a worker. A client that hangs up while its request is handled is not
 * noticed before the answer; nothing is cancelled.
 *
 * Every request gets a status. The server itself answers, as {"error": "…", "request_id": "…"}: 401
 * token missing or wrong; 403 a request that a web page could have sent, if no token is configured
 * (origin.h); 404 no such path; 405 with Allow; 413 body too large; 415 unknown Content-Encoding,
 * with Accept-Encoding; 429 too many wrong tokens; 503 too many bytes of bodies, or too many long
 * requests, at the same time. An error that is known from the headers is sent after the body has
 * been read and dropped, so that the client reads it. The server does not wait for a body beyond
 * HTTP_DRAIN_MAX, or for one that waits for "100 Continue".
 *
 * Before a request is complete: 400 its framing is invalid (framing.h) or its client ended the
 * stream; 408 it did not arrive in time; 414 and 431 its headers are too large; 503 its connection
 * was needed for another one; 505 another major version. Then the connection closes. In metrics
 * these have the method "other" and the path "unmatched".
 *
 * A body with Content-Encoding: gzip is decoded as it arrives, and limits apply to the decoded
 * bytes. If it is damaged or truncated, the request gets 400.
 *
 * Bounds: connections (evict.h, capacity.h), bytes of the headers (HTTP_HEADERS_MAX), of a body
 * (per route) and of all bodies together (HTTP_BODIES_MAX), and time (deadline.h), except while a
 * handler has the request. No bound is per address: all clients of a proxy, and all on loopback,
 * share one.
 *
 * Each request has an id, the client's X-Request-Id or a ULID. Every response has it as
 * X-Request-Id, and the body of an error as "request_id". The access log (access.h) has a line
 * "request" for each, with method, path (decoded, without the query), client, request_id, status,
 * bytes and duration_ms.
 *
 * Metrics (metrics.h): requests and their durations by method, route and status; status 499 is a
 * client that hung up before its answer. A duration runs from the end of the headers to the end of
 * the answer.
 *
 * Thread rule: one thread for http_server_*.
 */
#pragma once

#include "base/err.h"
#include "http/access.h"
#include "http/bounds.h"
#include "http/listen.h"
#include "http/route.h"

#include <stddef.h>

struct http_server;
struct prom_registry;

enum { HTTP_GRACE_MS = 2000 }; /* for clients to take their answers when the server stops */

struct http_server_config {
        struct http_listener *listener;  /* its fd is taken; borrowed otherwise */
        const struct http_route *routes; /* borrowed */
        size_t n_routes;
        void *ctx;                         /* for handlers */
        const char *token;                 /* copied; NULL: requests need none */
        unsigned max_connections;          /* 0: 1024 */
        unsigned workers;                  /* for HTTP_ROUTE_BLOCKS; 0: 4 */
        unsigned lane_workers[HTTP_LANES]; /* the most of them in one lane; 0: all */
        unsigned idle_timeout_s;           /* 0: 30 */
        unsigned keep_alive_s;             /* 0: 75 */
        unsigned transfer_timeout_s;       /* 0: 120 */
        enum http_access_setting access_log;
        struct prom_registry *registry; /* NULL: no metrics */
        /* Called when the server itself answers a request of a route: 400, 401, 403, 413, 415, 429,
         * 503. On its thread; must not wait. May be NULL. */
        void (*refused)(const struct http_route *route, unsigned status, void *ctx);
};

int http_server_new(const struct http_server_config *config, struct http_server **ret,
                    struct err *err);

/* Accepts no more connections; open ones are still served. Clients that wait to be accepted get
 * 503. */
void http_server_quiesce(struct http_server *server);

/*
 * Answers new requests on open connections with 503, waits until every handler has answered and
 * then up to HTTP_GRACE_MS for clients to take the answers, closes all connections and frees. Takes
 * NULL.
 */
void http_server_free(struct http_server *server);
