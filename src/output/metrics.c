/* SPDX-License-Identifier: Apache-2.0 */
#include "output/metrics.h"

static const double write_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                       0.25,  0.5,    1,     2.5,  5,     10};

/* clang-format off */
const struct metric_desc output_metric_descs[OUTPUT_METRIC_COUNT] = {
        [OUTPUT_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_log_bytes_total",
                .help = "Bytes of output received from programs.",
                .advice = "The volume of output. No action is needed.",
                .labels = PROM_LABELS("stream"),
        },
        [OUTPUT_LINES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_log_lines_total",
                .help = "Lines of output received from programs.",
                .advice = "The volume of output in lines. Many short lines cost more than a few "
                          "long ones.",
                .labels = PROM_LABELS("stream"),
        },
        [OUTPUT_DROPPED_LINES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_log_dropped_lines_total",
                .help = "Lines that a follower missed (slow) or that were not stored.",
                .advice = "- `slow`: a client follows a log more slowly than the program writes. "
                          "The lines are stored and can be read later.\n"
                          "- `limit`: a workload wrote more than `--log-lines-max` lines, or more "
                          "than a quarter of `--log-size-max`.\n"
                          "- `queue`: the disk is slower than the output.\n"
                          "- `store`: the disk is full or broken; the daemon's log has the reason.",
                .labels = PROM_LABELS("reason"),
        },
        [OUTPUT_SUBSCRIBERS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_log_subscribers",
                .help = "Clients that follow a log.",
                .advice = "Each one uses one of `--max-connections`.",
        },
        [OUTPUT_QUEUE_BYTES] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_log_queue_bytes",
                .help = "Bytes of output waiting to be written to the file.",
                .advice = "Close to 0 when little is written. At 64 MiB, lines are dropped "
                          "(`queue`), because the disk is too slow.",
        },
        [OUTPUT_WRITE_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_log_write_seconds",
                .help = "Time to write a batch of output to the file.",
                .advice = "A batch has up to 8 MiB. If it takes more than a second, the disk is "
                          "too slow, or another program uses it.",
                METRIC_BUCKETS(write_buckets),
        },
        [OUTPUT_WRITTEN_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_log_written_bytes_total",
                .help = "Bytes of output written to the file.",
                .advice = "The difference to `vulcan_log_bytes_total` is output that waits or was "
                          "dropped.",
        },
        [OUTPUT_EXPIRED_LINES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_log_expired_lines_total",
                .help = "Lines deleted by retention, because of age or size.",
                .advice = "Grows with the output once the file has reached its limit. If lines are "
                          "deleted too early, raise `--log-size-max` or `--log-age-max`.",
        },
        [OUTPUT_STORE_BYTES] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_log_store_bytes",
                .help = "Bytes of output stored in the file.",
                .advice = "Stays below `--log-size-max`. The file is somewhat larger, and shrinks "
                          "when more than a quarter of it is free.",
        },
};
/* clang-format on */

static const char *const reason_names[OUTPUT_REASON_COUNT] = {
        [OUTPUT_REASON_SLOW] = "slow",
        [OUTPUT_REASON_LIMIT] = "limit",
        [OUTPUT_REASON_QUEUE] = "queue",
        [OUTPUT_REASON_STORE] = "store",
};

int output_metrics_init(struct output_metrics *m, struct prom_registry *registry, struct err *err)
{
        struct prom_family *f[OUTPUT_METRIC_COUNT];
        int r;

        *m = (struct output_metrics){0};
        if (!registry)
                return 0;
        r = metric_obtain_all(registry, output_metric_descs, OUTPUT_METRIC_COUNT, f, err);
        if (r < 0)
                return r;
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
