/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of the engine, declared in two tables (metrics.c). Those of the second are read from
 * the engine at each scrape, all at one moment under its lock, so that in every scrape
 *
 *     accepted = pending + running + completed + failed + killed
 *
 * holds exactly. Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "metric/metric.h"
#include "workload/workload.h"

#include <stdint.h>

enum {
        ENGINE_QUEUE_WAIT_SECONDS,
        ENGINE_WORKLOAD_DURATION_SECONDS,
        ENGINE_REJECTED_TOTAL,
        ENGINE_METRIC_COUNT,
};

enum {
        ENGINE_ACCEPTED_TOTAL,
        ENGINE_CURRENT,
        ENGINE_ENDED_TOTAL,
        ENGINE_QUEUE_DEPTH,
        ENGINE_QUEUE_LIMIT,
        ENGINE_ADMITTED_VMS,
        ENGINE_ADMITTED_VMS_LIMIT,
        ENGINE_ADMITTED_MEMORY,
        ENGINE_ADMITTED_MEMORY_LIMIT,
        ENGINE_UNRECORDED,
        ENGINE_INTERRUPTED_TOTAL,
        ENGINE_SNAPSHOT_COUNT,
};

extern const struct metric_desc engine_metric_descs[ENGINE_METRIC_COUNT];
extern const struct metric_desc engine_snapshot_descs[ENGINE_SNAPSHOT_COUNT];

/* Why an order was refused. Label values in metrics.c. */
enum engine_reject {
        ENGINE_REJECT_INVALID,    /* it makes no sense, or there is no such runtime or isolation */
        ENGINE_REJECT_TOO_LARGE,  /* needs more memory than there will ever be, or is too long */
        ENGINE_REJECT_QUEUE_FULL, /* as many wait as may */
        ENGINE_REJECT_BUSY,       /* too many requests are under way to look at it */
        ENGINE_REJECT_STOPPING,   /* the daemon is ending */
        ENGINE_REJECT_STORE,      /* could not be written down */
        ENGINE_REJECT_INTERNAL,   /* no memory, no thread */
        ENGINE_REJECT_COUNT,
};

/* One moment of an engine. */
struct engine_counts {
        uint64_t accepted;
        uint64_t by_status[WORKLOAD_STATUS_COUNT]; /* now pending or running; ended ever */
        uint64_t queue, queue_limit;               /* waiting for a VM */
        uint64_t vms, vms_limit;                   /* of the workloads that are let in */
        uint64_t memory_mb, memory_limit_mb;       /* the same; limit 0: none */
        uint64_t unrecorded;                       /* ended, and the store has not taken that yet */
        uint64_t interrupted;                      /* of the process before, failed at this start */
};

struct engine;
typedef void engine_counts_fn(struct engine *e, struct engine_counts *ret);

struct engine_metrics {
        struct prom_family *family[ENGINE_METRIC_COUNT]; /* NULL without a registry */
        struct prom_histogram *queue_wait;
        struct prom_counter *rejected[ENGINE_REJECT_COUNT];
        struct prom_collector *collector;
        struct engine *engine;
        engine_counts_fn *counts;
};

/* `registry` NULL: nothing is measured. -EEXIST where another engine of the process is measured in
 * it. `counts` is called at each scrape until engine_metrics_release(). */
int engine_metrics_init(struct engine_metrics *m, struct prom_registry *registry, struct engine *e,
                        engine_counts_fn *counts, struct err *err);
void engine_metrics_release(struct engine_metrics *m);

void engine_metrics_observe_duration(struct engine_metrics *m, const char *runtime,
                                     enum workload_status status, uint64_t duration_ns);
