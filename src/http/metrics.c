/* SPDX-License-Identifier: Apache-2.0 */
#include "http/metrics.h"

static const double duration_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10};

/* clang-format off */
const struct metric_desc http_metric_descs[HTTP_METRIC_COUNT] = {
        [HTTP_REQUESTS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_requests_total",
                .help = "HTTP requests answered, by method, pattern of the path, and status.",
                .advice = "`path` is a route's pattern, `unmatched` where there is none. `status` "
                          "429 is the queue's bound, 499 a client that hung up before its answer. "
                          "Requests rejected before they were complete have `method` `other` and "
                          "`path` `unmatched`: 400 malformed, 408 too late, 414 and 431 headers "
                          "too large, 503 no connection left.",
                .labels = PROM_LABELS("method", "path", "status"),
        },
        [HTTP_REQUEST_DURATION_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_http_request_duration_seconds",
                .help = "Time from the headers of a request to the end of its answer.",
                .advice = "`POST /v1/workloads` waits for the workload by design; the other routes "
                          "answer within milliseconds.",
                .labels = PROM_LABELS("method", "path"),
                METRIC_BUCKETS(duration_buckets),
        },
        [HTTP_CONNECTIONS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_http_connections",
                .help = "Connections of HTTP clients that are open.",
                .advice = "At `--max-connections` each new one takes the place of an idle or slow "
                          "one: see `vulcan_http_evicted_connections_total`.",
        },
        [HTTP_LONG_REQUESTS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_http_long_requests",
                .help = "Requests under way that may take long: workloads, kills, logs that are "
                        "followed, what reads the store.",
                .advice = "Requests that wait for a workload and followed logs get 503 at 7/8 of "
                          "`--max-connections`, kills, other submissions and reads of records at "
                          "15/16, so that probes and scrapes always get in.",
        },
        [HTTP_EVICTED_CONNECTIONS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_evicted_connections_total",
                .help = "Connections that were closed, being idle or slow, to make room for new "
                        "ones.",
                .advice = "Clients open connections and do not use them: keep fewer, or raise "
                          "`--max-connections`. Each got 503, or 408 between requests.",
        },
        [HTTP_AUTH_FAILURES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_auth_failures_total",
                .help = "Requests without the right token, by reason.",
                .advice = "`missing`: no `Authorization`; `malformed`: a scheme other than Bearer; "
                          "`wrong`: a wrong token; `limited` (429): a token from an address that "
                          "has sent more than 10 wrong ones and sends more than one per second. If "
                          "`wrong` and `limited` grow, somebody is guessing, or a client still has "
                          "an old token; the daemon's log names addresses.",
                .labels = PROM_LABELS("reason"),
        },
        [HTTP_ACCESS_LOG_DROPPED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_http_access_log_dropped_total",
                .help = "Lines of the access log that were dropped because standard error was "
                        "blocked.",
                .advice = "Up to 256 KiB wait for standard error; requests never do. The reader of "
                          "the daemon's log has fallen behind or stopped.",
        },
};
/* clang-format on */
