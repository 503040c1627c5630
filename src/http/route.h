/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which handler a request is for. A pattern is a path whose segments may be "{name}": one segment
 * of 1 to HTTP_PARAM_MAX bytes. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_request;

typedef void http_handler_fn(struct http_request *request, void *ctx);

enum {
        HTTP_ROUTE_OPEN = 1,   /* needs no token */
        HTTP_ROUTE_BLOCKS = 2, /* the handler may wait: it runs on a worker thread */
        HTTP_ROUTE_WAITS = 4,  /* for others: for a lock, a disk, the end of something */
        HTTP_ROUTE_HOLDS = 8,  /* its answer takes as long as its client likes */
};

/*
 * Routes share the workers by lanes: a lane may have a bound of its own (http_server_config), so that
 * those that wait leave workers to the others.
 */
enum { HTTP_LANES = 4 };

struct http_route {
        const char *method; /* "GET" (which answers HEAD too), "POST", "DELETE" … */
        const char *pattern;
        http_handler_fn *handler;
        size_t body_max; /* bytes; 0: a body is read and dropped */
        unsigned flags;
        unsigned lane; /* of HTTP_ROUTE_BLOCKS: 0 to HTTP_LANES - 1 */
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
 * The path of a request's target. Clients of a proxy send "http://HOST/PATH" (RFC 9112, section 3.2.2);
 * HOST must be `host`, the value of the header, so that there is one name to judge. NULL: it is not.
 * `host` may be NULL.
 */
const char *http_route_path(const char *target, const char *host);

/* True if the path has the shape of the pattern, with or without one more "/" at its end; *ret is
 * filled in then and garbage otherwise. */
bool http_route_matches(const char *pattern, const char *path, struct http_params *ret);

/*
 * The route for a method and a path. NULL: there is none; then *ret_path is some route with that
 * path but another method (allow: their methods, "GET, HEAD, DELETE"), or NULL.
 */
const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const char *path,
                                         struct http_params *ret_params,
                                         const struct http_route **ret_path,
                                         char allow[HTTP_ALLOW_MAX]);

/* The method as a label: itself if it is one of HTTP's, "other" otherwise. */
const char *http_method_label(const char *method);
