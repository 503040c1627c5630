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
                .help = "Time from accepting a workload until it started to run. Workloads that "
                        "never ran are not included.",
                .advice = "This is how long a client waits in addition to boot and program. It "
                          "grows with `vulcan_queue_depth`. If it is high while the queue is "
                          "empty, the machine has no CPU time left.",
                METRIC_BUCKETS(wait_buckets),
        },
        [ENGINE_WORKLOAD_DURATION_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_workload_duration_seconds",
                .help = "Time from the start of a workload until all of it was cleaned up, by "
                        "runtime and final status.",
                .advice = "Includes boot, program and cleanup. Subtract "
                          "`vulcan_firecracker_vm_boot_seconds` to estimate the time of the "
                          "programs themselves.",
                .labels = PROM_LABELS("runtime", "status"),
                METRIC_BUCKETS(duration_buckets),
        },
        [ENGINE_REJECTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_rejected_total",
                .help = "Requests to run a workload that were not accepted, by reason.",
                .advice = "- `queue_full` (429): see `vulcan_queue_depth`.\n"
                          "- `too_large`: the workload needs more than `max_memory_mb`, or the "
                          "body exceeds 15 MiB (413).\n"
                          "- `busy` (503): too many requests in progress for `--max-connections`, "
                          "or too many large bodies at once.\n"
                          "- `store`: the disk is full or fails.\n"
                          "- `invalid`: the request is malformed, or names a runtime or isolation "
                          "that does not exist.\n"
                          "- `stopping`: the daemon is shutting down.\n"
                          "- `internal`: no memory, or no thread.\n"
                          "\n"
                          "Requests without a valid token, and requests that the HTTP server "
                          "itself rejects, are only in `vulcan_http_requests_total`.",
                .labels = PROM_LABELS("reason"),
        },
};

const struct metric_desc engine_snapshot_descs[ENGINE_SNAPSHOT_COUNT] = {
        [ENGINE_ACCEPTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_accepted_total",
                .help = "Workloads accepted. In every scrape this is the sum of "
                        "vulcan_workloads_current and vulcan_workloads_ended_total.",
                .advice = "Like every counter, it starts at 0 with the process. Workloads that a "
                          "process leaves unfinished are in `vulcan_workloads_interrupted_total` "
                          "of the next one.",
        },
        [ENGINE_CURRENT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_workloads_current",
                .help = "Accepted workloads that have not ended, by status.",
                .advice = "`running` includes workloads whose VM is being started or cleaned up. "
                          "If `pending` does not fall while `running` is below "
                          "`vulcan_admitted_vms_limit`, workloads are waiting for memory.",
                .labels = PROM_LABELS("status"),
        },
        [ENGINE_ENDED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_ended_total",
                .help = "Workloads that have ended, by final status.",
                .advice = "The same as `vulcan_firecracker_workloads_total` without the runtime, "
                          "but read at the same moment as the two metrics above.",
                .labels = PROM_LABELS("status"),
        },
        [ENGINE_QUEUE_DEPTH] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_queue_depth",
                .help = "Workloads waiting for a VM or for memory.",
                .advice = "If it stays above 0, allow more VMs (`--max-vms`) or memory "
                          "(`--max-memory-mb`) if the machine has CPU and memory to spare. "
                          "Otherwise add a machine.",
        },
        [ENGINE_QUEUE_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_queue_limit",
                .help = "How many workloads may wait.",
                .advice = "The setting `max_queue`.",
        },
        [ENGINE_ADMITTED_VMS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_vms",
                .help = "VMs admitted: running, starting or being cleaned up.",
                .advice = "If it equals `vulcan_admitted_vms_limit`, waiting workloads wait for a "
                          "VM.",
        },
        [ENGINE_ADMITTED_VMS_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_vms_limit",
                .help = "How many VMs may be admitted at a time.",
                .advice = "The setting `max_vms`.",
        },
        [ENGINE_ADMITTED_MEMORY] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_memory_bytes",
                .help = "Guest memory of the admitted VMs.",
                .advice = "If it is close to `vulcan_admitted_memory_limit_bytes`, waiting "
                          "workloads wait for memory.",
        },
        [ENGINE_ADMITTED_MEMORY_LIMIT] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_admitted_memory_limit_bytes",
                .help = "How much guest memory the admitted VMs may have in total; 0 means no "
                        "limit.",
                .advice = "The setting `max_memory_mb`.",
        },
        [ENGINE_UNRECORDED] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_workloads_unrecorded",
                .help = "Workloads that have ended but whose end is not in the store yet. Writing "
                        "it is retried.",
                .advice = "Should be 0. The disk is full, or another program holds the file; the "
                          "log says which. Until then, the daemon shows these workloads from "
                          "memory. A workload that is still not recorded when the daemon exits is "
                          "marked failed at the next start.",
        },
        [ENGINE_INTERRUPTED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_workloads_interrupted_total",
                .help = "Workloads that an earlier process of the daemon accepted and left "
                        "unfinished. This process marked them failed when it started.",
                .advice = "Set once, at start, to the number of records that were still `pending` "
                          "or `running` because the last process crashed or was killed. Their "
                          "error is \"the daemon was restarted\". No process saw them end, so no "
                          "other counter includes them: over all processes, accepted = ended + "
                          "interrupted. The exception is a workload that was in "
                          "`vulcan_workloads_unrecorded` when its process ended: it is in both.",
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
