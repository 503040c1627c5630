/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of logs, declared in one table (metrics.c). */
#pragma once

#include "base/err.h"
#include "prom/prom.h"
#include "workload/workload.h"

enum {
        LOG_BYTES_TOTAL,
        LOG_LINES_TOTAL,
        LOG_DROPPED_LINES_TOTAL,
        LOG_SUBSCRIBERS,
        LOG_QUEUE_BYTES,
        LOG_WRITE_SECONDS,
        LOG_WRITTEN_BYTES_TOTAL,
        LOG_EXPIRED_LINES_TOTAL,
        LOG_STORE_BYTES,
        LOG_METRIC_COUNT
};

extern const struct prom_desc log_metric_descs[LOG_METRIC_COUNT];

/* Why a line did not get where it was to go. */
enum log_reason {
        LOG_REASON_NONE,
        LOG_REASON_SLOW,  /* a subscriber did not keep up; the line is in the history */
        LOG_REASON_LIMIT, /* the workload's log was full */
        LOG_REASON_QUEUE, /* the file did not keep up */
        LOG_REASON_STORE, /* the file could not be written */
        LOG_REASON_COUNT
};

struct log_metrics {
        struct prom_counter *bytes[WORKLOAD_STDERR + 1], *lines[WORKLOAD_STDERR + 1];
        struct prom_counter *dropped[LOG_REASON_COUNT];
        struct prom_counter *written_bytes, *expired_lines;
        struct prom_gauge *subscribers, *queue_bytes, *store_bytes;
        struct prom_histogram *write;
};

/* A NULL registry: nothing is counted. */
int log_metrics_init(struct log_metrics *m, struct prom_registry *registry, struct err *err);
