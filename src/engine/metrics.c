/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/metrics.h"

#include "base/clock.h"

static const double wait_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5,
                                      5,      10,      30,     60,    300};

static const double duration_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                          2.5,   5,    10,    30,   60,  300,  900, 3600};

/* clang-format off */
const struct metric_desc engine_metric_descs[ENGINE_METRIC_COUNT] = {
        [ENGINE_QUEUE_WAIT_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_queue_wait_seconds",
                .help = "Time from accepting a workload until it began to run, for those that did.",
                .advice = "What a client waits beyond boot and program. Grows with "
                          "`vulcan_queue_depth`; a high one with an empty queue means that the "
                          "machine has no CPU left.",
                METRIC_BUCKETS(wait_buckets),
        },
        [ENGINE_WORKLOAD_DURATION_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_workload_duration_seconds",
                .help = "Time from beginning to run until everything of the workload was gone, by "
                        "runtime and final status.",
                .advice = "Boot, program and cleanup. Compare with "
                          "`vulcan_firecracker_vm_boot_seconds`: the rest is the programs' own.",
                .labels = PROM_LABELS("runtime", "status"),
                METRIC_BUCKETS(duration_buckets),
        },
        [ENGINE_REJECTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_rejected_total",
                .help = "Orders that were not accepted, by reason.",
                .advice = "`queue_full` (429): see `vulcan_queue_depth`. `too_large`: workloads "
                          "above `max_memory_mb`, and bodies above 15 MiB (413). `busy` (503): "
                          "more requests under way than `--max-connections` allows for, or too "
                          "many large bodies at once. `store`: the disk is full or fails. "
                          "`invalid`: clients that send nonsense. `stopping`: the daemon was "
                          "ending. `internal`: no memory or thread. A request without the right "
                          "token, or that libmicrohttpd refuses itself, is not counted here but in "
                          "`vulcan_http_requests_total`.",
                .labels = PROM_LABELS("reason"),
        },
};
/* clang-format on */

/* clang-format off */
const struct metric_desc engine_snapshot_descs[ENGINE_SNAPSHOT_COUNT] = {
        [ENGINE_ACCEPTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_accepted_total",
                .help = "Workloads accepted. In every scrape this is the sum of "
                        "vulcan_workloads_current and vulcan_workloads_ended_total.",
                .advice = "The other side of every balance: nothing that was accepted may be "
                          "missing from it. As all counters it counts one life of the process; "
                          "what a life did not bring to its end is in "
                          "`vulcan_workloads_interrupted_total` of the next.",
        },
        [ENGINE_CURRENT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_workloads_current",
                .help = "Workloads accepted that have not ended, by status.",
                .advice = "`running` includes VMs that are being made or taken down. `pending` "
                          "that does not fall while `running` is below `vulcan_admitted_vms_limit` "
                          "waits for memory.",
                .labels = PROM_LABELS("status"),
        },
        [ENGINE_ENDED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_ended_total",
                .help = "Workloads that have ended, by final status.",
                .advice = "As `vulcan_firecracker_workloads_total` without the runtime, read at "
                          "the same moment as the two above.",
                .labels = PROM_LABELS("status"),
        },
        [ENGINE_QUEUE_DEPTH] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_queue_depth",
                .help = "Workloads that wait for a VM or for memory.",
                .advice = "Above 0 for long: more VMs (`--max-vms`) or memory (`--max-memory-mb`) "
                          "where CPU and memory have room, else another machine.",
        },
        [ENGINE_QUEUE_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_queue_limit",
                .help = "Workloads that may wait.",
                .advice = "The setting `max_queue`.",
        },
        [ENGINE_ADMITTED_VMS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_vms",
                .help = "VMs let in: those that run and those about to.",
                .advice = "At `vulcan_admitted_vms_limit`: VMs are what others wait for.",
        },
        [ENGINE_ADMITTED_VMS_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_vms_limit",
                .help = "VMs that may run at once.",
                .advice = "The setting `max_vms`.",
        },
        [ENGINE_ADMITTED_MEMORY] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_memory_bytes",
                .help = "Guest memory of the VMs that were let in.",
                .advice = "Near `vulcan_admitted_memory_limit_bytes`: memory is what others wait "
                          "for.",
        },
        [ENGINE_ADMITTED_MEMORY_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_memory_limit_bytes",
                .help = "Guest memory that VMs may have together; 0: no bound.",
                .advice = "The setting `max_memory_mb`.",
        },
        [ENGINE_UNRECORDED] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_workloads_unrecorded",
                .help = "Workloads that have ended and whose end the store has not taken yet. It "
                        "is tried again.",
                .advice = "Not 0: the disk is full, or another program holds the file; the log "
                          "says which. Those workloads are answered from memory, lists and sums "
                          "show them as unfinished, and what is not written when the daemon ends "
                          "is failed at the next start.",
        },
        [ENGINE_INTERRUPTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_interrupted_total",
                .help = "Workloads that an earlier life of the daemon accepted and left "
                        "unfinished. This one failed them when it started.",
                .advice = "Set once, at the start, to the records that were `pending` or `running` "
                          "when the last process ended: it was killed, or crashed. They are "
                          "`failed` with the error \"the daemon was restarted\" and, as no life of "
                          "the process saw their end, in no other counter. So over all lives "
                          "accepted = ended + interrupted, but for ends that were in "
                          "`vulcan_workloads_unrecorded` when the process ended, which are in "
                          "both.",
        },
};
/* clang-format on */

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
        int r;

        *m = (struct engine_metrics){.engine = e, .counts = counts};
        if (!registry)
                return 0;
        r = metric_obtain_all(registry, engine_metric_descs, ENGINE_METRIC_COUNT, m->family, err);
        if (r == 0)
                r = metric_register_collector(registry, engine_snapshot_descs,
                                              ENGINE_SNAPSHOT_COUNT, collect, m, &m->collector,
                                              err);
        if (r < 0)
                return r;
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
