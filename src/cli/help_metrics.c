/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help_metrics.h"

#include "backend/firecracker/metrics.h"
#include "engine/metrics.h"
#include "http/metrics.h"
#include "output/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What to do when it is high, or what to watch. */
static const struct advice {
        const char *name, *text;
} advices[] = {
        {"vulcan_firecracker_vm_boot_seconds",
         "Above about 0.2 s with KVM, or 1 s without: look at "
         "`vulcan_firecracker_vm_start_stage_seconds` for the stage that grew. All stages grow "
         "together when the machine has too few CPUs for the VMs that boot at once."},
        {"vulcan_firecracker_active_vms",
         "Compare with the setting `max_vms`. It is 0 at rest; if it stays above the workloads "
         "that run, a cleanup is stuck: see `vulcan_firecracker_vm_cleanup_stage_seconds`."},
        {"vulcan_firecracker_vsock_latency_seconds",
         "It holds the start of the program (an interpreter takes most of it) up to its first "
         "output. If `vulcan_firecracker_vsock_rtt_seconds` did not grow too, the program is slow, "
         "not the path to it."},
        {"vulcan_firecracker_vm_cleanup_seconds",
         "Some ms. High values mean that the kernel takes long to free the memory of a VM, or to "
         "remove a TAP: `vulcan_firecracker_vm_cleanup_stage_seconds` tells which."},
        {"vulcan_firecracker_workloads_total",
         "`failed` is a boot, an agent, memory or the time limit, never a program's exit code; the "
         "workload's `error` says which. Alert on the rate of `failed` over the rate of all. One "
         "that died with the daemon was not executed to any end: it is in "
         "`vulcan_workloads_interrupted_total`."},
        {"vulcan_firecracker_vsock_rtt_seconds",
         "Well below 1 ms on a quiet machine. High values: host or guest do not get a CPU."},
        {"vulcan_firecracker_vm_start_stage_seconds",
         "`prepare` and `network` come before the boot time begins. `vmm` is process, firmware and "
         "loading the kernel, `kernel` until the agent's first instruction; `modules`, `root` and "
         "`agent` are the agent's own. A high `root`: image on a slow disk. A high `vmm` or "
         "`kernel`: no CPU, or no KVM."},
        {"vulcan_firecracker_vm_cleanup_stage_seconds",
         "`flush` asks the VMM for its counters (250 ms at most; a kill does not wait for it). "
         "`stop` is SIGKILL to reaped. `network` is TAP and address; it runs in parallel with "
         "`stop`, or with a `flush` that takes more than 5 ms. `files` is the VM's directory."},
        {"vulcan_firecracker_boot_failures_total",
         "`reason=\"vmm_exit\"`: the VMM rejected its configuration or crashed; `timeout`: the "
         "guest hung; "
         "`guest_panic`: its kernel panicked; `guest_reboot`: it restarted without a panic; "
         "`guest`: a bad image; `protocol`: images of another version (`make images`); `error`: "
         "something on this host. The workload's `error` has the details. A start that ends in "
         "`timeout`, `guest_panic`, `guest_reboot` or `vmm_exit` (but for exit codes 1, 152 and "
         "153: it rejects its configuration) is retried once within the boot timeout: if that "
         "succeeds, the first failure is counted here and nothing in "
         "`workloads_total{status=\"failed\"}`."},
        {"vulcan_firecracker_guest_panics_total",
         "Programs can cause them (a bug of the guest's kernel, memory); their workloads fail with "
         "`guest panic` and the panic in `error`. Panics at boot are in "
         "`vulcan_firecracker_boot_failures_total`."},
        {"vulcan_firecracker_vmm_exits_total",
         "`killed` is the normal end. `exit_0` is a guest that restarted by itself (a panic), "
         "`exit_148` a system call refused by the VMM's filter: report both. `stuck`: one that was "
         "still there when Vulcan exited (see the log, and /proc/PID/stack); while Vulcan runs, "
         "`vulcan_firecracker_remains` shows them."},
        {"vulcan_firecracker_output_bytes_total", "Volume of output; nothing to do by itself."},
        {"vulcan_firecracker_output_dropped_bytes_total",
         "Somebody writes more than the limit of output: raise it, or tell them."},
        {"vulcan_firecracker_leaks_reclaimed_total",
         "Grows only after a crash or a SIGKILL of Vulcan. If it grows otherwise, report it. "
         "`process`: a VMM that lived on. `directory`: of a VM. `tap`, `bridge`, `rules`: network "
         "that no living process of Vulcan on this machine held."},
        {"vulcan_firecracker_remains",
         "0 at rest. `process`: a VMM, or a process that it started, was killed and has not ended; "
         "its VM still counts in `vulcan_firecracker_active_vms`, but its memory no longer in "
         "`vulcan_admitted_memory_bytes`. A few seconds under load are normal. `directory`: "
         "removal fails (the log says why) and is retried every minute. `foreign`: another program "
         "put something there; look at it and remove it."},
        {"vulcan_firecracker_net_dropped_packets_total",
         "A program floods, scans, or tries to reach a metadata service. If the limits slow "
         "down programs that you trust, raise --net-connections, --net-packets or "
         "--net-bandwidth."},
        {"vulcan_firecracker_vmm_metrics_lost_total",
         "The totals below are too low by what these lines held. A VM that dies while it writes "
         "costs one."},
        {"vulcan_firecracker_counters_lost_total",
         "The totals below lack what these VMs did since their VMM's last line, which it writes "
         "once a minute. The machine is overloaded, or a VMM crashed. VMMs of killed workloads are "
         "not asked and not counted here: the kill comes first."},
        {"vulcan_firecracker_vmm_vsock_bytes_total", "Code, input and output of all workloads."},
        {"vulcan_firecracker_vmm_vsock_connections_total",
         "One is added per VM. Many more: programs dial the host themselves, in vain."},
        {"vulcan_firecracker_vmm_block_bytes_total",
         "Reads of root images; images are read-only, so writes stay 0."},
        {"vulcan_firecracker_vmm_net_bytes_total", "Traffic of the VMs with a network."},
        {"vulcan_firecracker_vmm_net_failures_total",
         "`spoofed_mac`: a guest sent frames under another hardware address."},
        {"vulcan_firecracker_vmm_vcpu_exits_total", "Work of the VMM for its guests."},
        {"vulcan_firecracker_vmm_vcpu_failures_total", "Not 0: look at the VMM's log."},
        {"vulcan_firecracker_vmm_seccomp_faults_total",
         "Not 0: a VMM tried what its filter forbids, which may be an attack from a guest."},
        {"vulcan_workloads_accepted_total",
         "The other side of every balance: nothing that was accepted may be missing from it. As "
         "all counters it counts one life of the process; what a life did not bring to its end is "
         "in `vulcan_workloads_interrupted_total` of the next."},
        {"vulcan_workloads_current",
         "`running` includes VMs that are being made or taken down. `pending` that does not fall "
         "while `running` is below `vulcan_admitted_vms_limit` waits for memory."},
        {"vulcan_workloads_ended_total",
         "As `vulcan_firecracker_workloads_total` without the runtime, read at the same moment as "
         "the two above."},
        {"vulcan_queue_depth",
         "Above 0 for long: more VMs (`--max-vms`) or memory (`--max-memory-mb`) where CPU and "
         "memory have room, else another machine."},
        {"vulcan_queue_limit", "The setting `max_queue`."},
        {"vulcan_admitted_vms", "At `vulcan_admitted_vms_limit`: VMs are what others wait for."},
        {"vulcan_admitted_vms_limit", "The setting `max_vms`."},
        {"vulcan_admitted_memory_bytes",
         "Near `vulcan_admitted_memory_limit_bytes`: memory is what others wait for."},
        {"vulcan_admitted_memory_limit_bytes", "The setting `max_memory_mb`."},
        {"vulcan_workloads_unrecorded",
         "Not 0: the disk is full, or another program holds the file; the log says which. Those "
         "workloads are answered from memory, lists and sums show them as unfinished, and what is "
         "not written when the daemon ends is failed at the next start."},
        {"vulcan_workloads_interrupted_total",
         "Set once, at the start, to the records that were `pending` or `running` when the last "
         "process ended: it was killed, or crashed. They are `failed` with the error \"the daemon "
         "was restarted\" and, as no life of the process saw their end, in no other counter. So "
         "over all lives accepted = ended + interrupted, but for ends that were in "
         "`vulcan_workloads_unrecorded` when the process ended, which are in both."},
        {"vulcan_queue_wait_seconds",
         "What a client waits beyond boot and program. Grows with `vulcan_queue_depth`; a high one "
         "with an empty queue means that the machine has no CPU left."},
        {"vulcan_workload_duration_seconds",
         "Boot, program and cleanup. Compare with `vulcan_firecracker_vm_boot_seconds`: the rest "
         "is the programs' own."},
        {"vulcan_workloads_rejected_total",
         "`queue_full` (429): see `vulcan_queue_depth`. `too_large`: workloads above "
         "`max_memory_mb`, "
         "and bodies above 15 MiB (413). `busy` (503): more requests under way than "
         "`--max-connections` allows for, or too many large bodies at once. `store`: the disk is "
         "full or fails. `invalid`: clients that send nonsense. `stopping`: the daemon was ending. "
         "`internal`: no memory or thread. A request without the right token, or that "
         "libmicrohttpd refuses itself, is not counted here but in `vulcan_http_requests_total`."},
        {"vulcan_log_bytes_total", "Volume of output; nothing to do by itself."},
        {"vulcan_log_lines_total", "The same in lines. Many short lines cost more than few long "
                                   "ones."},
        {"vulcan_log_dropped_lines_total",
         "`slow`: a client does not keep up with the output it follows; the lines are in the "
         "history. `limit`: a workload wrote more than `--log-lines-max`, or a quarter of "
         "`--log-size-max`. `queue`: the disk does not keep up. `store`: the disk is full or "
         "broken (the daemon's log says which)."},
        {"vulcan_log_subscribers", "Each holds one of `--max-connections`."},
        {"vulcan_log_queue_bytes",
         "Near 0 at rest. At 64 MiB lines are dropped (`queue`): the disk is too slow for the "
         "output that is written."},
        {"vulcan_log_write_seconds", "A batch is up to 8 MiB. Above a second: the disk is too "
                                     "slow, or something else uses it."},
        {"vulcan_log_written_bytes_total",
         "Compare with `vulcan_log_bytes_total`: the difference is what waits or was dropped."},
        {"vulcan_log_expired_lines_total",
         "Grows with the output once the logs are full. If lines go too early: raise "
         "`--log-size-max` or `--log-age-max`."},
        {"vulcan_log_store_bytes", "Stays below `--log-size-max`. The file is somewhat larger; it "
                                   "shrinks when more than a quarter of it is free."},
        {"vulcan_http_requests_total",
         "`path` is a route's pattern, `unmatched` where there is "
         "none. `status` 429 is the queue's "
         "bound, 499 a client that hung up before its answer. Requests rejected "
         "before they were complete have `method` `other` and `path` `unmatched`: 400 malformed, "
         "408 too late, 414 and 431 headers too large, 503 no connection left."},
        {"vulcan_http_request_duration_seconds",
         "`POST /v1/workloads` waits for the workload by design; the other routes answer within "
         "milliseconds."},
        {"vulcan_http_connections",
         "At `--max-connections` each new one takes the place of an idle or slow one: see "
         "`vulcan_http_evicted_connections_total`."},
        {"vulcan_http_long_requests", "Requests that wait for a workload and followed logs get 503 "
                                      "at 7/8 of `--max-connections`, "
                                      "kills, other submissions and reads of records at 15/16, so "
                                      "that probes and scrapes always "
                                      "get in."},
        {"vulcan_http_auth_failures_total",
         "`missing`: no `Authorization`; `malformed`: a scheme other than Bearer; `wrong`: a wrong "
         "token; `limited` (429): a token from an address that has sent more than 10 wrong ones "
         "and sends more than one per second. If `wrong` and `limited` grow, somebody is guessing, "
         "or a client still has an old token; the daemon's log names addresses."},
        {"vulcan_http_access_log_dropped_total", "Up to 256 KiB wait for standard error; requests "
                                                 "never do. The reader of the daemon's log "
                                                 "has fallen behind or stopped."},
        {"vulcan_http_evicted_connections_total",
         "Clients open connections and do not use them: keep fewer, or raise "
         "`--max-connections`. Each got 503, or 408 between requests."},
};

static const char *find_advice(const char *name)
{
        for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
                if (strcmp(advices[i].name, name) == 0)
                        return advices[i].text;
        }
        return NULL;
}

static const char *kind_name(enum prom_kind kind)
{
        return kind == PROM_COUNTER ? "counter" : kind == PROM_GAUGE ? "gauge" : "histogram";
}

static void add_buckets(struct buf *ret, const struct prom_desc *desc)
{
        char number[PROM_NUMBER_MAX];

        buf_printf(ret, "Buckets:");
        for (size_t i = 0; i < desc->n_buckets; i++) {
                size_t n = prom_format_number(desc->buckets[i], number);

                buf_printf(ret, " %.*s", (int)n, number);
        }
        buf_printf(ret, "\n\n");
}

static int add_metric(struct buf *ret, const struct prom_desc *desc, struct err *err)
{
        const char *advice = find_advice(desc->name);

        if (!advice)
                return err_set(err, ENOENT, "no advice for %s", desc->name);
        buf_printf(ret, "### %s\n\n%s", desc->name, kind_name(desc->kind));
        for (size_t i = 0; desc->labels && desc->labels[i]; i++)
                buf_printf(ret, "%s `%s`", i ? "," : ", labels", desc->labels[i]);
        buf_printf(ret, "\n\n%s\n\n%s\n\n", desc->help, advice);
        if (desc->n_buckets)
                add_buckets(ret, desc);
        return 0;
}

static int add_table(struct buf *ret, const char *title, const struct prom_desc *descs, size_t n,
                     struct err *err)
{
        int r = 0;

        if (title)
                buf_printf(ret, "## %s\n\n", title);
        for (size_t i = 0; i < n && r == 0; i++)
                r = add_metric(ret, &descs[i], err);
        return r;
}

int help_metrics_page(struct buf *ret, struct err *err)
{
        int r;

        buf_printf(ret,
                   "# Metrics\n\n"
                   "Made by `vulcan help metrics` from the tables that declare them. Durations "
                   "are in seconds. No label holds a workload's id: the number of series is "
                   "bounded.\n\n");
        r = add_table(ret, "Workloads", engine_snapshot_descs, ENGINE_SNAPSHOT_COUNT, err);
        if (r == 0)
                r = add_table(ret, NULL, engine_metric_descs, ENGINE_METRIC_COUNT, err);
        if (r == 0)
                r = add_table(ret, "MicroVMs", fc_metric_descs, FC_METRIC_COUNT, err);
        if (r == 0)
                r = add_table(ret, "Logs", output_metric_descs, OUTPUT_METRIC_COUNT, err);
        if (r == 0)
                r = add_table(ret, "HTTP", http_metric_descs, HTTP_METRIC_COUNT, err);
        if (r < 0)
                return r;
        buf_printf(ret,
                   "## The process\n\n"
                   "`process_cpu_seconds_total`, `process_resident_memory_bytes`, "
                   "`process_virtual_memory_bytes`, `process_virtual_memory_max_bytes`, "
                   "`process_open_fds`, `process_max_fds`, `process_threads`, "
                   "`process_network_receive_bytes_total`, "
                   "`process_network_transmit_bytes_total` (of all in the network namespace) and "
                   "`process_start_time_seconds` as every Prometheus client has them; "
                   "`vulcan_build_info` is 1 and says what was built.\n\n"
                   "`prom_scrapes_total{code}`, `prom_scrapes_in_flight`, "
                   "`prom_scrape_duration_seconds` and `prom_scrape_bytes_total{encoding}` are "
                   "about `GET /metrics` itself: 503 is too many scrapes at once, or one that "
                   "could not be answered within the scraper's timeout.\n\n"
                   "`prom_series_overflow_total`, `prom_ignored_updates_total` and "
                   "`prom_collect_failures_total` appear only when a metric reached its limit of "
                   "series, an update made no sense, or a scrape left a metric out because its "
                   "collector failed or hung: report them.\n\n"
                   "## Runs without a daemon\n\n"
                   "`vulcan run --metrics` prints the five metrics of its VM's life; `--push` and "
                   "`--remote-write` send them to a Pushgateway or to Prometheus when it ends "
                   "([the command line](cli.md)).\n");
        return 0;
}
