/* SPDX-License-Identifier: Apache-2.0 */
#include "output/metrics.h"

static const double write_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                       0.25,  0.5,    1,     2.5,  5,     10};

const struct prom_desc output_metric_descs[OUTPUT_METRIC_COUNT] = {
        [OUTPUT_BYTES_TOTAL] = {PROM_COUNTER, "vulcan_log_bytes_total",
                                "Bytes of output that came to the logs.",
                                .labels = (const char *const[]){"stream", NULL}},
        [OUTPUT_LINES_TOTAL] = {PROM_COUNTER, "vulcan_log_lines_total",
                                "Lines of output that came to the logs.",
                                .labels = (const char *const[]){"stream", NULL}},
        [OUTPUT_DROPPED_LINES_TOTAL] =
                {PROM_COUNTER, "vulcan_log_dropped_lines_total",
                 "Lines that a subscriber lost (slow) or that were not kept.",
                 .labels = (const char *const[]){"reason", NULL}},
        [OUTPUT_SUBSCRIBERS] = {PROM_GAUGE, "vulcan_log_subscribers",
                                "Clients that read a log as it grows."},
        [OUTPUT_QUEUE_BYTES] = {PROM_GAUGE, "vulcan_log_queue_bytes",
                                "Bytes of log that wait to be written to the file."},
        [OUTPUT_WRITE_SECONDS] = {PROM_HISTOGRAM, "vulcan_log_write_seconds",
                                  "Time to write a batch of log to the file.",
                                  .buckets = write_buckets,
                                  .n_buckets = sizeof(write_buckets) / sizeof(write_buckets[0])},
        [OUTPUT_WRITTEN_BYTES_TOTAL] = {PROM_COUNTER, "vulcan_log_written_bytes_total",
                                        "Bytes of log that were written to the file."},
        [OUTPUT_EXPIRED_LINES_TOTAL] = {PROM_COUNTER, "vulcan_log_expired_lines_total",
                                        "Lines that retention deleted, by age or by size."},
        [OUTPUT_STORE_BYTES] = {PROM_GAUGE, "vulcan_log_store_bytes",
                                "Bytes of log that the file keeps."},
};

static const char *const reason_names[OUTPUT_REASON_COUNT] = {
        [OUTPUT_REASON_SLOW] = "slow",
        [OUTPUT_REASON_LIMIT] = "limit",
        [OUTPUT_REASON_QUEUE] = "queue",
        [OUTPUT_REASON_STORE] = "store",
};

int output_metrics_init(struct output_metrics *m, struct prom_registry *registry, struct err *err)
{
        struct prom_family *f[OUTPUT_METRIC_COUNT];
        struct prom_error error;
        int r;

        *m = (struct output_metrics){0};
        if (!registry)
                return 0;
        r = prom_obtain_all(registry, output_metric_descs, OUTPUT_METRIC_COUNT, f, &error);
        if (r < 0)
                return err_set(err, -r, "metrics: %s", error.msg);
        for (int s = WORKLOAD_STDOUT; s <= WORKLOAD_STDERR; s++) {
                const char *name = s == WORKLOAD_STDOUT ? "stdout" : "stderr";

                m->bytes[s] = prom_counter_with(f[OUTPUT_BYTES_TOTAL], name);
                m->lines[s] = prom_counter_with(f[OUTPUT_LINES_TOTAL], name);
        }
        for (int i = OUTPUT_REASON_SLOW; i < OUTPUT_REASON_COUNT; i++)
                m->dropped[i] = prom_counter_with(f[OUTPUT_DROPPED_LINES_TOTAL], reason_names[i]);
        m->subscribers = prom_gauge_with(f[OUTPUT_SUBSCRIBERS]);
        m->queue_bytes = prom_gauge_with(f[OUTPUT_QUEUE_BYTES]);
        m->store_bytes = prom_gauge_with(f[OUTPUT_STORE_BYTES]);
        m->write = prom_histogram_with(f[OUTPUT_WRITE_SECONDS]);
        m->written_bytes = prom_counter_with(f[OUTPUT_WRITTEN_BYTES_TOTAL]);
        m->expired_lines = prom_counter_with(f[OUTPUT_EXPIRED_LINES_TOTAL]);
        return 0;
}
