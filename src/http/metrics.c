/* SPDX-License-Identifier: Apache-2.0 */
#include "http/metrics.h"

static const double duration_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10};

/* clang-format off */
const struct metric_desc http_metric_descs[HTTP_METRIC_COUNT] = {
        [HTTP_REQUESTS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_requests_total",
                .help = "HTTP requests answered, by method, route and status.",
                .advice = "`path` is the pattern of the route, or `unmatched`. `status` 429 is a "
                          "full queue; 499 is a client that disconnected before the response. "
                          "Requests rejected before they were complete have `method` `other` and "
                          "`path` `unmatched`: 400 is malformed, 408 too slow, 414 and 431 have "
                          "headers that are too large, and 503 found no free connection.",
                .labels = PROM_LABELS("method", "path", "status"),
        },
        [HTTP_REQUEST_DURATION_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_http_request_duration_seconds",
                .help = "Time from the headers of a request to the end of its response.",
                .advice = "`POST /v1/workloads` waits for the workload by design. The other routes "
                          "respond within milliseconds.",
                .labels = PROM_LABELS("method", "path"),
                METRIC_BUCKETS(duration_buckets),
        },
        [HTTP_CONNECTIONS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_http_connections",
                .help = "Open connections of HTTP clients.",
                .advice = "At `--max-connections`, each new connection replaces an idle or slow "
                          "one: see `vulcan_http_evicted_connections_total`.",
        },
        [HTTP_LONG_REQUESTS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_http_long_requests",
                .help = "Requests in progress that may take long: workloads, kills, followed logs, "
                        "reads of the store.",
                .advice = "At 7/8 of `--max-connections`, requests that wait for a workload or "
                          "follow a log get 503. At 15/16, so do kills, other submissions and "
                          "reads of records. The rest is reserved for probes and scrapes.",
        },
        [HTTP_EVICTED_CONNECTIONS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_evicted_connections_total",
                .help = "Idle or slow connections that were closed to make room for new ones.",
                .advice = "Clients open connections that they do not use. Make them keep fewer, or "
                          "raise `--max-connections`. A closed client gets 503, or 408 between "
                          "requests.",
        },
        [HTTP_AUTH_FAILURES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_auth_failures_total",
                .help = "Requests without a valid token, by reason.",
                .advice = "- `missing`: no `Authorization` header.\n"
                          "- `malformed`: a scheme other than Bearer.\n"
                          "- `wrong`: a wrong token.\n"
                          "- `limited` (429): any token from an address that has sent more than 10 "
                          "wrong ones and sends more than one per second.\n"
                          "\n"
                          "If `wrong` and `limited` grow, somebody is guessing, or a client has an "
                          "old token. The daemon's log names the addresses.",
                .labels = PROM_LABELS("reason"),
        },
        [HTTP_ACCESS_LOG_DROPPED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_access_log_dropped_total",
                .help = "Lines of the access log that were dropped because standard error was "
                        "blocked.",
                .advice = "The reader of the daemon's log is too slow or has stopped. Up to 256 "
                          "KiB of log wait for it; requests never do.",
        },
};
/* clang-format on */

int http_metrics_init(struct http_metrics *ret, struct prom_registry *registry, struct err *err)
{
        struct prom_family *families[HTTP_METRIC_COUNT];
        int r;

        if (!registry)
                return 0;
        r = metric_obtain_all(registry, http_metric_descs, HTTP_METRIC_COUNT, families, err);
        if (r < 0)
                return r;
        *ret = (struct http_metrics){
                .requests = families[HTTP_REQUESTS_TOTAL],
                .duration = families[HTTP_REQUEST_DURATION_SECONDS],
                .auth_failures = families[HTTP_AUTH_FAILURES_TOTAL],
                .connections = prom_gauge_with(families[HTTP_CONNECTIONS]),
                .long_requests = prom_gauge_with(families[HTTP_LONG_REQUESTS]),
                .evicted = prom_counter_with(families[HTTP_EVICTED_CONNECTIONS_TOTAL]),
                .access_dropped = prom_counter_with(families[HTTP_ACCESS_LOG_DROPPED_TOTAL]),
        };
        return 0;
}
