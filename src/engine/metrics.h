/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of the engine, declared in two tables in metrics.c. Those of the first are updated as
 * things happen. Those of the second are read at each scrape, all at one moment under the engine's
 * lock, so that every scrape satisfies exactly
 *
 *     accepted = pending + running + completed + failed + killed
 *
 * Thread rule: any thread.
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

/* Why a request was rejected. metrics.c has the label values. */
enum engine_reject {
        ENGINE_REJECT_INVALID,   /* an invalid field, or an unknown runtime or isolation */
        ENGINE_REJECT_TOO_LARGE, /* needs more memory than max_memory_mb, or its body is too long */
        ENGINE_REJECT_QUEUE_FULL, /* the queue is full */
        ENGINE_REJECT_BUSY,       /* too many requests are in progress to read it */
        ENGINE_REJECT_STOPPING,   /* the daemon shuts down */
        ENGINE_REJECT_STORE,      /* its record could not be inserted */
        ENGINE_REJECT_INTERNAL,   /* out of memory or threads */
        ENGINE_REJECT_COUNT,
};

/* The counts of an engine at one moment. */
struct engine_counts {
        uint64_t accepted;
        uint64_t by_status[WORKLOAD_STATUS_COUNT]; /* pending and running: now; final ones: ever */
        uint64_t queue, queue_limit;               /* workloads that wait for a VM or memory */
        uint64_t vms, vms_limit;                   /* of admitted workloads */
        uint64_t memory_mb, memory_limit_mb;       /* of admitted workloads; limit 0: unlimited */
        uint64_t unrecorded;                       /* ended, but not recorded yet */
        uint64_t interrupted; /* left by an earlier process, failed at this start */
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

/* `registry` NULL: nothing is measured. -EEXIST: the registry measures another engine already.
 * `counts` is called at each scrape until engine_metrics_release(). */
int engine_metrics_init(struct engine_metrics *m, struct prom_registry *registry, struct engine *e,
                        engine_counts_fn *counts, struct err *err);
void engine_metrics_release(struct engine_metrics *m);

void engine_metrics_observe_duration(struct engine_metrics *m, const char *runtime,
                                     enum workload_status status, uint64_t duration_ns);
