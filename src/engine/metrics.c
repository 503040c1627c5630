/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/metrics.h"

#include "base/clock.h"

#define LABELS(...)                                                                                \
        (const char *const[])                                                                      \
        {                                                                                          \
                __VA_ARGS__, NULL                                                                  \
        }

static const double wait_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5,
                                      5,      10,      30,     60,    300};

static const double duration_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                          2.5,   5,    10,    30,   60,  300,  900, 3600};

#define BUCKETS(array) .buckets = (array), .n_buckets = sizeof(array) / sizeof((array)[0])

const struct prom_desc engine_metric_descs[ENGINE_METRIC_COUNT] = {
        [ENGINE_QUEUE_WAIT_SECONDS] = {PROM_HISTOGRAM, "vulcan_queue_wait_seconds",
                                       "Time from accepting a workload until it began to run, for "
                                       "those that did.",
                                       BUCKETS(wait_buckets)},
        [ENGINE_WORKLOAD_DURATION_SECONDS] =
                {PROM_HISTOGRAM, "vulcan_workload_duration_seconds",
                 "Time from beginning to run until everything of the workload was gone, by runtime "
                 "and final status.",
                 .labels = LABELS("runtime", "status"), BUCKETS(duration_buckets)},
        [ENGINE_REJECTED_TOTAL] = {PROM_COUNTER, "vulcan_workloads_rejected_total",
                                   "Orders that were not accepted, by reason.",
                                   .labels = LABELS("reason")},
};

const struct prom_desc engine_snapshot_descs[ENGINE_SNAPSHOT_COUNT] = {
        [ENGINE_ACCEPTED_TOTAL] = {PROM_COUNTER, "vulcan_workloads_accepted_total",
                                   "Workloads accepted. In every scrape this is the sum of "
                                   "vulcan_workloads_current and vulcan_workloads_ended_total."},
        [ENGINE_CURRENT] = {PROM_GAUGE, "vulcan_workloads_current",
                            "Workloads accepted that have not ended, by status.",
                            .labels = LABELS("status")},
        [ENGINE_ENDED_TOTAL] = {PROM_COUNTER, "vulcan_workloads_ended_total",
                                "Workloads that have ended, by final status.",
                                .labels = LABELS("status")},
        [ENGINE_QUEUE_DEPTH] = {PROM_GAUGE, "vulcan_queue_depth",
                                "Workloads that wait for a VM or for memory."},
        [ENGINE_QUEUE_LIMIT] = {PROM_GAUGE, "vulcan_queue_limit", "Workloads that may wait."},
        [ENGINE_ADMITTED_VMS] = {PROM_GAUGE, "vulcan_admitted_vms",
                                 "VMs let in: those that run and those about to."},
        [ENGINE_ADMITTED_VMS_LIMIT] = {PROM_GAUGE, "vulcan_admitted_vms_limit",
                                       "VMs that may run at once."},
        [ENGINE_ADMITTED_MEMORY] = {PROM_GAUGE, "vulcan_admitted_memory_bytes",
                                    "Guest memory of the VMs that were let in."},
        [ENGINE_ADMITTED_MEMORY_LIMIT] = {PROM_GAUGE, "vulcan_admitted_memory_limit_bytes",
                                          "Guest memory that VMs may have together; 0: no bound."},
        [ENGINE_UNRECORDED] = {PROM_GAUGE, "vulcan_workloads_unrecorded",
                               "Workloads that have ended and whose end the store has not taken "
                               "yet. It is tried again."},
        [ENGINE_INTERRUPTED_TOTAL] = {PROM_COUNTER, "vulcan_workloads_interrupted_total",
                                      "Workloads that an earlier life of the daemon accepted and "
                                      "left unfinished. This one failed them when it started."},
};

static const char *const reasons[ENGINE_REJECT_COUNT] = {
        [ENGINE_REJECT_INVALID] = "invalid",       [ENGINE_REJECT_TOO_LARGE] = "too_large",
        [ENGINE_REJECT_QUEUE_FULL] = "queue_full", [ENGINE_REJECT_BUSY] = "busy",
        [ENGINE_REJECT_STOPPING] = "stopping",     [ENGINE_REJECT_STORE] = "store",
        [ENGINE_REJECT_INTERNAL] = "internal",
};

static void collect(struct prom_emitter *emitter, void *data)
{
        const struct engine_metrics *m = data;
        struct engine_counts c;

        m->counts(m->engine, &c);
        prom_emit(emitter, ENGINE_ACCEPTED_TOTAL, (double)c.accepted);
        for (int i = 0; i < WORKLOAD_STATUS_COUNT; i++)
                prom_emit(emitter,
                          workload_status_is_end((enum workload_status)i) ? ENGINE_ENDED_TOTAL
                                                                          : ENGINE_CURRENT,
                          (double)c.by_status[i], workload_status_name((enum workload_status)i));
        prom_emit(emitter, ENGINE_QUEUE_DEPTH, (double)c.queue);
        prom_emit(emitter, ENGINE_QUEUE_LIMIT, (double)c.queue_limit);
        prom_emit(emitter, ENGINE_ADMITTED_VMS, (double)c.vms);
        prom_emit(emitter, ENGINE_ADMITTED_VMS_LIMIT, (double)c.vms_limit);
        prom_emit(emitter, ENGINE_ADMITTED_MEMORY, (double)c.memory_mb * 1048576);
        prom_emit(emitter, ENGINE_ADMITTED_MEMORY_LIMIT, (double)c.memory_limit_mb * 1048576);
        prom_emit(emitter, ENGINE_UNRECORDED, (double)c.unrecorded);
        prom_emit(emitter, ENGINE_INTERRUPTED_TOTAL, (double)c.interrupted);
}

int engine_metrics_init(struct engine_metrics *m, struct prom_registry *registry, struct engine *e,
                        engine_counts_fn *counts, struct err *err)
{
        struct prom_error error;
        int r;

        *m = (struct engine_metrics){.engine = e, .counts = counts};
        if (!registry)
                return 0;
        r = prom_obtain_all(registry, engine_metric_descs, ENGINE_METRIC_COUNT, m->family, &error);
        if (r == 0)
                r = prom_register_collector(registry, engine_snapshot_descs, ENGINE_SNAPSHOT_COUNT,
                                            collect, m, &m->collector, &error);
        if (r < 0)
                return err_set(err, -r, "metrics: %s", error.msg);
        m->queue_wait = prom_histogram_with(m->family[ENGINE_QUEUE_WAIT_SECONDS]);
        for (int i = 0; i < ENGINE_REJECT_COUNT; i++)
                m->rejected[i] = prom_counter_with(m->family[ENGINE_REJECTED_TOTAL], reasons[i]);
        return 0;
}

void engine_metrics_release(struct engine_metrics *m)
{
        prom_collector_remove(m->collector);
        m->collector = NULL;
}

void engine_metrics_observe_duration(struct engine_metrics *m, const char *runtime,
                                     enum workload_status status, uint64_t duration_ns)
{
        prom_histogram_observe(prom_histogram_with(m->family[ENGINE_WORKLOAD_DURATION_SECONDS],
                                                   runtime, workload_status_name(status)),
                               ns_to_s(duration_ns));
}
