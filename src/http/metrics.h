/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of the HTTP server, declared in one table (metrics.c). Labels are bounded: `path` is
 * a route's pattern or "unmatched", `method` a known one or "other".
 */
#pragma once

#include "metric/metric.h"

enum {
        HTTP_REQUESTS_TOTAL,
        HTTP_REQUEST_DURATION_SECONDS,
        HTTP_CONNECTIONS,
        HTTP_LONG_REQUESTS,
        HTTP_EVICTED_CONNECTIONS_TOTAL,
        HTTP_AUTH_FAILURES_TOTAL,
        HTTP_ACCESS_LOG_DROPPED_TOTAL,
        HTTP_METRIC_COUNT
};

extern const struct metric_desc http_metric_descs[HTTP_METRIC_COUNT];

/* Those of one registry. All NULL: nothing is counted. */
struct http_metrics {
        struct prom_family *requests, *duration, *auth_failures;
        struct prom_gauge *connections, *long_requests;
        struct prom_counter *evicted, *access_dropped;
};

/* Leaves *ret as it is if there is no registry, and on failure. */
int http_metrics_init(struct http_metrics *ret, struct prom_registry *registry, struct err *err);
