/* SPDX-License-Identifier: Apache-2.0 */
#include "http/capacity.h"

#include "http/route.h"

static void count(struct http_capacity *c, int n)
{
        c->n_long += (unsigned)n;
        prom_gauge_set(c->long_requests, c->n_long);
}

bool http_capacity_take(struct http_capacity *c, unsigned route_flags)
{
        unsigned max = c->max_connections;
        unsigned kept =
                max / HTTP_KEPT_SHARE > HTTP_KEPT_MIN ? max / HTTP_KEPT_SHARE : HTTP_KEPT_MIN;

        if (kept > max / 2)
                kept = max / 2;
        if (!(route_flags & HTTP_ROUTE_HOLDS))
                kept /= 2;
        if (c->n_long >= max - kept)
                return false;
        count(c, 1);
        return true;
}

void http_capacity_give_back(struct http_capacity *c)
{
        count(c, -1);
}
