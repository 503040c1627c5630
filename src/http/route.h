/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the route of a request. A pattern is a path in which a segment may be "{name}": it matches
 * one segment of 1 to HTTP_PARAM_MAX bytes. Thread rule: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_request;

typedef void http_handler_fn(struct http_request *request, void *ctx);

enum {
        HTTP_ROUTE_OPEN = 1,   /* needs no token */
        HTTP_ROUTE_BLOCKS = 2, /* the handler may wait: it runs on a worker */
        HTTP_ROUTE_WAITS = 4,  /* the request may take long: it waits for a lock, a disk, a VM */
        HTTP_ROUTE_HOLDS = 8,  /* the request takes as long as its client likes */
};

enum { HTTP_LANES = 4 }; /* lanes.h; each may have a bound on its workers (server.h) */

struct http_route {
        const char *method; /* "GET" (which also answers HEAD), "POST", "DELETE" … */
        const char *pattern;
        http_handler_fn *handler;
        size_t body_max; /* bytes; 0: a body is read and dropped */
        unsigned flags;
        unsigned lane; /* for HTTP_ROUTE_BLOCKS: 0 to HTTP_LANES - 1 */
};

enum { HTTP_PARAMS_MAX = 4, HTTP_PARAM_MAX = 128, HTTP_ALLOW_MAX = 64 };

struct http_params {
        size_t n;
        struct {
                const char *name; /* in the pattern; not terminated: `name_len` bytes */
                size_t name_len;
                char value[HTTP_PARAM_MAX + 1];
        } items[HTTP_PARAMS_MAX];
};

/*
 * The path of a request's target. Clients may send "http://HOST/PATH" (RFC 9112, section 3.2.2).
 * HOST must then equal `host`, the value of the Host header (NULL: missing), so that later checks
 * of the header cover both. NULL: it does not.
 */
const char *http_route_path(const char *target, const char *host);

/* True if the path matches the pattern; the path may have one more "/" at its end. *ret is only
 * valid if it does. */
bool http_route_matches(const char *pattern, const char *path, struct http_params *ret);

/*
 * The route for a method and a path, or NULL. *ret_path is then a route with that path and another
 * method, or NULL, and `allow` has the methods of that path: "GET, HEAD, DELETE".
 */
const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const char *path,
                                         struct http_params *ret_params,
                                         const struct http_route **ret_path,
                                         char allow[HTTP_ALLOW_MAX]);

/* The method as a label: "other" if HTTP does not define it. */
const char *http_method_label(const char *method);
