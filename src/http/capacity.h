/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds the requests that take long by nature, so that some connections are left for probes,
 * scrapes and other short requests. A client may hold a request of HTTP_ROUTE_HOLDS as long as it
 * likes: those leave an eighth of the connections free (HTTP_KEPT_SHARE, HTTP_KEPT_MIN). Requests
 * of HTTP_ROUTE_WAITS end by themselves and may use half of that share.
 *
 * Thread rule: the server's thread.
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>

enum {
        HTTP_KEPT_SHARE = 8, /* one connection in that many is kept for short requests, */
        HTTP_KEPT_MIN = 16,  /* at least that many, and at most half of them */
};

struct http_capacity {
        unsigned max_connections;
        unsigned n_long;                  /* long requests under way */
        struct prom_gauge *long_requests; /* shows n_long; NULL: not shown */
};

/* Takes a slot for a request of a route with these flags, one of which is HTTP_ROUTE_HOLDS or
 * HTTP_ROUTE_WAITS. False: there is none. */
bool http_capacity_take(struct http_capacity *c, unsigned route_flags);

void http_capacity_give_back(struct http_capacity *c);
