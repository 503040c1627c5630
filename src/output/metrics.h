/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the output, declared in one table in metrics.c. */
#pragma once

#include "base/err.h"
#include "metric/metric.h"
#include "workload/workload.h"

enum {
        OUTPUT_BYTES_TOTAL,
        OUTPUT_LINES_TOTAL,
        OUTPUT_DROPPED_LINES_TOTAL,
        OUTPUT_SUBSCRIBERS,
        OUTPUT_QUEUE_BYTES,
        OUTPUT_WRITE_SECONDS,
        OUTPUT_WRITTEN_BYTES_TOTAL,
        OUTPUT_EXPIRED_LINES_TOTAL,
        OUTPUT_STORE_BYTES,
        OUTPUT_METRIC_COUNT
};

extern const struct metric_desc output_metric_descs[OUTPUT_METRIC_COUNT];

/* Why a line was not recorded or not delivered. */
enum output_reason {
        OUTPUT_REASON_NONE,
        OUTPUT_REASON_SLOW,  /* a follower fell behind; the line is in the file */
        OUTPUT_REASON_LIMIT, /* the log has reached its limit */
        OUTPUT_REASON_QUEUE, /* the file fell behind */
        OUTPUT_REASON_STORE, /* the file could not be written */
        OUTPUT_REASON_COUNT
};

struct output_metrics {
        struct prom_counter *bytes[WORKLOAD_STDERR + 1], *lines[WORKLOAD_STDERR + 1];
        struct prom_counter *dropped[OUTPUT_REASON_COUNT];
        struct prom_counter *written_bytes, *expired_lines;
        struct prom_gauge *subscribers, *queue_bytes, *store_bytes;
        struct prom_histogram *write;
};

/* `registry` NULL: nothing is counted. */
int output_metrics_init(struct output_metrics *m, struct prom_registry *registry, struct err *err);
