/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as its handler sees it. Texts returned here live as long as the request, which is gone
 * with its answer (answer.h).
 *
 * Thread rule: the handler's thread until it answers.
 */
#pragma once

#include "base/buf.h"
#include "http/bounds.h"
#include "http/peer.h"
#include "http/route.h"

#include <stdint.h>

/* The part of the path that "{name}" matched. Never NULL for a name of the pattern. */
const char *http_request_param(const struct http_request *request, const char *name);

/* A query parameter, decoded; "" if it has no value, NULL if it is missing. */
const char *http_request_query(const struct http_request *request, const char *name);

/* A header; NULL if it is missing. */
const char *http_request_header(const struct http_request *request, const char *name);

/* All headers, or query parameters, with that name, in their order. Returns their number; `values`
 * gets the first `max` of them. */
size_t http_request_headers(const struct http_request *request, const char *name,
                            const char **values, size_t max);
size_t http_request_queries(const struct http_request *request, const char *name,
                            const char **values, size_t max);

/* The name of the first query parameter that is not in the list (NULL ends it), or NULL. Names are
 * compared without regard to case, as above. */
const char *http_request_unknown_query(const struct http_request *request,
                                       const char *const *known);

/* The client's address, as http_peer_text() writes it. */
void http_request_client(const struct http_request *request, char ret[HTTP_CLIENT_MAX]);

/* Adds a field to the request's line in the access log. `name` is a constant. The last note
 * counts. */
void http_request_note(struct http_request *request, const char *name, const char *note);

/* When the head had come: clock_ns(). */
uint64_t http_request_arrival_ns(const struct http_request *request);

/* The body; empty if there was none. */
const struct buf *http_request_body(const struct http_request *request);

/* For a handler on the server's thread that finds it would have to wait: `handler` answers in its
 * place, on a worker of the route's lane. Call it last. */
void http_request_defer(struct http_request *request, http_handler_fn *handler);

/* Keeps a pointer for the handler that a request is deferred to. */
void http_request_keep(struct http_request *request, void *pointer);
void *http_request_kept(const struct http_request *request);
