/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/metrics.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

/* The usual defaults, with finer ones from 50 to 500 ms, where microVMs boot, and longer ones for
 * machines that emulate. */
static const double boot_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2,
                                      0.25,  0.3,  0.35,  0.4,  0.45,  0.5, 0.75,  1,    1.5,   2,
                                      2.5,   3.5,  5,     7.5,  10,    20,  30,    60};

/* From 50 us: a bare round trip over vsock takes that long; a program's first output far longer. */
static const double vsock_buckets[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                       0.01,    0.025,  0.05,    0.1,    0.25,  0.5,    1,
                                       2.5,     5,      10,      30,     60};

static const double cleanup_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025,
                                         0.05,   0.1,   0.25,   0.5,   1,      2.5,  5,     10};

static const double stage_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                       0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

/* clang-format off */
const struct metric_desc fc_metric_descs[FC_METRIC_COUNT] = {
        [FC_VM_BOOT_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vm_boot_seconds",
                .of_run = true,
                .help = "Time from the start of the VMM process until the guest agent was ready. "
                        "Successful boots only.",
                .advice = "Normal values are up to 0.2 s with KVM and 1 s without. If it is "
                          "higher, `vulcan_firecracker_vm_start_stage_seconds` shows the stage "
                          "that grew. If all stages grew, the machine has too few CPUs for the "
                          "number of VMs that boot at the same time.",
                METRIC_BUCKETS(boot_buckets),
        },
        [FC_ACTIVE_VMS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_firecracker_active_vms",
                .of_run = true,
                .help = "MicroVMs whose VMM has been started and whose cleanup is not complete.",
                .advice = "Compare it with the setting `max_vms`. It is 0 when nothing runs. If it "
                          "stays above the number of running workloads, a cleanup is stuck: see "
                          "`vulcan_firecracker_vm_cleanup_stage_seconds`.",
        },
        [FC_VSOCK_LATENCY_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vsock_latency_seconds",
                .of_run = true,
                .help = "Time from sending the request to the guest agent until the first output, "
                        "file or result was received.",
                .advice = "Includes the start of the program up to its first output, most of which "
                          "is the start of the interpreter. If it grows and "
                          "`vulcan_firecracker_vsock_rtt_seconds` does not, the program is slow, "
                          "not the path to it.",
                METRIC_BUCKETS(vsock_buckets),
        },
        [FC_VM_CLEANUP_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vm_cleanup_seconds",
                .of_run = true,
                .help = "Time from stopping the VM until its network was torn down.",
                .advice = "A few milliseconds. If it is high, the kernel is slow to free a VM's "
                          "memory or to remove a TAP device; "
                          "`vulcan_firecracker_vm_cleanup_stage_seconds` shows which.",
                METRIC_BUCKETS(cleanup_buckets),
        },
        [FC_WORKLOADS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_workloads_total",
                .of_run = true,
                .help = "Workloads executed, by runtime and final status.",
                .advice = "`failed` means that the boot, the agent, the memory limit or the time "
                          "limit failed the workload, never its exit code; the workload's `error` "
                          "has the reason. Alert on the rate of `failed` relative to the total "
                          "rate. Workloads interrupted by a crash of the daemon are in "
                          "`vulcan_workloads_interrupted_total`.",
                .labels = PROM_LABELS("runtime", "status"),
        },
        [FC_VSOCK_RTT_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vsock_rtt_seconds",
                .help = "Bare round trip to the guest agent over vsock: PING sent to PONG "
                        "received, once per workload.",
                .advice = "Well below 1 ms on a quiet machine. If it is high, host or guest do not "
                          "get CPU time.",
                METRIC_BUCKETS(vsock_buckets),
        },
        [FC_VM_START_STAGE_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vm_start_stage_seconds",
                .help = "Time spent in each stage of starting a microVM. `prepare` and `network` "
                        "come before the boot time; the others are recorded for successful boots "
                        "and add up to the boot time.",
                .advice = "- `spawn` starts the VMM process.\n"
                          "- `vmm` is the VMM's own work until it starts the guest. The VMM "
                          "reports that moment to the millisecond.\n"
                          "- `early` is the guest until its kernel's clock starts: firmware and "
                          "the first part of the kernel.\n"
                          "- `kernel` lasts until the agent's first instruction. From here on the "
                          "guest measures.\n"
                          "- `modules`, `root` and `agent` are steps of the agent.\n"
                          "- `unknown` is time that the figures of the VMM or the guest do not "
                          "explain, because they are missing or impossible. It is normally "
                          "absent.\n"
                          "\n"
                          "If `root` is high, the image is on a slow disk. If `early` or `kernel` "
                          "is high, there is no CPU time, or no KVM.",
                .labels = PROM_LABELS("stage"),
                METRIC_BUCKETS(stage_buckets),
        },
        [FC_VM_CLEANUP_STAGE_SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "vulcan_firecracker_vm_cleanup_stage_seconds",
                .help = "Time spent in each stage of the cleanup of a microVM.",
                .advice = "- `flush` asks the VMM for its final counters. It takes at most 250 ms; "
                          "a kill does not wait for it.\n"
                          "- `stop` lasts from SIGKILL until the processes are reaped.\n"
                          "- `network` removes the TAP device and releases the address. It runs in "
                          "parallel with `stop`, or with `flush` if that takes more than 5 ms.\n"
                          "- `files` removes the directory of the VM.",
                .labels = PROM_LABELS("stage"),
                METRIC_BUCKETS(cleanup_buckets),
        },
        [FC_BOOT_FAILURES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_boot_failures_total",
                .help = "Failed attempts to start a microVM, by the stage that was reached and the "
                        "reason.",
                .advice = "- `vmm_exit`: the VMM rejected its configuration or crashed.\n"
                          "- `timeout`: the guest hung.\n"
                          "- `guest_panic`: the guest's kernel panicked.\n"
                          "- `guest_reboot`: the guest restarted without a panic.\n"
                          "- `guest`: the image is bad.\n"
                          "- `protocol`: the images are of another version; run `make images`.\n"
                          "- `error`: something failed on the host.\n"
                          "\n"
                          "The workload's `error` has the details. An attempt that fails with "
                          "`timeout`, `guest_panic`, `guest_reboot` or `vmm_exit` is repeated once "
                          "within the boot timeout, unless the VMM rejected its configuration "
                          "(exit codes 1, 152 and 153). If the second attempt succeeds, the first "
                          "is counted here, and nothing in `workloads_total{status=\"failed\"}`.",
                .labels = PROM_LABELS("stage", "reason"),
        },
        [FC_GUEST_PANICS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_guest_panics_total",
                .help = "Kernel panics of guests while a program was running.",
                .advice = "A program can cause a panic through a bug of the guest's kernel or by "
                          "using up memory. The workload fails with `guest panic`, and its `error` "
                          "quotes the panic. Panics during boot are in "
                          "`vulcan_firecracker_boot_failures_total`.",
        },
        [FC_VMM_EXITS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_exits_total",
                .help = "VMM processes that ended, by class: killed as planned, the exit code or "
                        "signal they ended with, or stuck if SIGKILL did not end them.",
                .advice = "- `killed` is the normal case.\n"
                          "- `exit_0` is a guest that restarted by itself after a panic. Report "
                          "it.\n"
                          "- `exit_148` is a system call that the VMM's filter refused. Report "
                          "it.\n"
                          "- `stuck` is a VMM that still existed when Vulcan exited: see the log "
                          "and /proc/PID/stack. While Vulcan runs, `vulcan_firecracker_remains` "
                          "counts such processes.",
                .labels = PROM_LABELS("class"),
        },
        [FC_OUTPUT_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_output_bytes_total",
                .help = "Bytes that programs wrote to stdout and stderr.",
                .advice = "The volume of output. No action is needed.",
                .labels = PROM_LABELS("stream"),
        },
        [FC_OUTPUT_DROPPED_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_output_dropped_bytes_total",
                .help = "Bytes of output beyond the output limit of a workload.",
                .advice = "A program writes more than `--output-max` allows. Raise the limit, or "
                          "ask the owner of the program to write less.",
        },
        [FC_LEAKS_RECLAIMED_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_leaks_reclaimed_total",
                .help = "Remains of a process that died, found and removed at start, by kind: "
                        "process, directory, tap, bridge, rules.",
                .advice = "Grows only after a crash or a SIGKILL of Vulcan. Report it if it grows "
                          "otherwise.\n"
                          "\n"
                          "- `process`: a VMM that outlived its parent.\n"
                          "- `directory`: the directory of a VM.\n"
                          "- `tap`, `bridge`, `rules`: network state that no living process of "
                          "Vulcan on this machine held.",
                .labels = PROM_LABELS("kind"),
        },
        [FC_REMAINS] = {
                .kind = PROM_GAUGE,
                .name = "vulcan_firecracker_remains",
                .help = "Remains of microVMs that could not be removed yet, by kind: process, "
                        "directory; foreign: entries in the directory of VMs that are not "
                        "Vulcan's, as found at start.",
                .advice = "0 when nothing runs. A few seconds under load are normal.\n"
                          "\n"
                          "- `process`: a VMM, or a process it started, was killed and has not "
                          "ended. Its VM still counts in `vulcan_firecracker_active_vms`, but no "
                          "longer in `vulcan_admitted_memory_bytes`.\n"
                          "- `directory`: the removal fails (the log has the reason) and is "
                          "repeated every minute.\n"
                          "- `foreign`: another program created something there. Look at it and "
                          "remove it.",
                .labels = PROM_LABELS("kind"),
        },
        [FC_NET_DROPPED_PACKETS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_net_dropped_packets_total",
                .help = "Dropped packets of guests with network nat, by reason: connections, "
                        "packets, bandwidth (over a limit), refused (to the host, or to a "
                        "forbidden destination). Read when a VM with a network ends, for all VMs "
                        "of the bridge.",
                .advice = "A program floods, scans, or tries to reach a metadata service. If the "
                          "limits slow down programs that you trust, raise `--net-connections`, "
                          "`--net-packets` or `--net-bandwidth`.",
                .labels = PROM_LABELS("reason"),
        },
        [FC_VMM_METRICS_LOST_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_metrics_lost_total",
                .help = "Lines of VMM metrics that were incomplete or could not be read.",
                .advice = "The totals below lack the values of these lines. A VM that dies while "
                          "it writes a line loses one.",
        },
        [FC_COUNTERS_LOST_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_counters_lost_total",
                .help = "MicroVMs whose VMM was asked for its final counters after the program had "
                        "ended and neither answered in time nor wrote them.",
                .advice = "The totals below lack what these VMs did since the last line of their "
                          "VMM, which it writes once a minute. The machine is overloaded, or a VMM "
                          "crashed. The VMMs of killed workloads are not asked, so they are not "
                          "counted here.",
        },
        [FC_VMM_VSOCK_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_vsock_bytes_total",
                .help = "Bytes through the vsock devices, as counted by the VMMs.",
                .advice = "Code, input and output of all workloads.",
                .labels = PROM_LABELS("direction"),
        },
        [FC_VMM_VSOCK_CONNECTIONS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_vsock_connections_total",
                .help = "Connections of the vsock devices, by event.",
                .advice = "Each VM adds one. Many more mean that programs try, without success, to "
                          "connect to the host.",
                .labels = PROM_LABELS("event"),
        },
        [FC_VMM_BLOCK_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_block_bytes_total",
                .help = "Bytes through the block devices, as counted by the VMMs.",
                .advice = "Reads of root images. Images are read-only, so writes stay 0.",
                .labels = PROM_LABELS("direction"),
        },
        [FC_VMM_NET_BYTES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_net_bytes_total",
                .help = "Bytes through the network devices, as counted by the VMMs.",
                .advice = "Traffic of the VMs that have a network.",
                .labels = PROM_LABELS("direction"),
        },
        [FC_VMM_NET_FAILURES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_net_failures_total",
                .help = "Failed reads and writes of TAP devices, and frames refused for a spoofed "
                        "hardware address.",
                .advice = "`spoofed_mac`: a guest sent frames with a hardware address other than "
                          "its own.",
                .labels = PROM_LABELS("kind"),
        },
        [FC_VMM_VCPU_EXITS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_vcpu_exits_total",
                .help = "Exits of virtual CPUs to the VMM.",
                .advice = "The VMM's work for its guests. No action is needed.",
                .labels = PROM_LABELS("kind"),
        },
        [FC_VMM_VCPU_FAILURES_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_vcpu_failures_total",
                .help = "Failures of virtual CPUs.",
                .advice = "Should be 0. Look at the log of the VMM.",
        },
        [FC_VMM_SECCOMP_FAULTS_TOTAL] = {
                .kind = PROM_COUNTER,
                .name = "vulcan_firecracker_vmm_seccomp_faults_total",
                .help = "System calls of VMMs refused by their seccomp filter.",
                .advice = "Should be 0. A VMM tried something that its filter forbids, which may "
                          "be an attack from a guest.",
        },
};
/* clang-format on */

static const char *const stage_names[FC_STAGE_COUNT] = {
        [FC_STAGE_PREPARE] = "prepare", [FC_STAGE_NETWORK] = "network",
        [FC_STAGE_SPAWN] = "spawn",     [FC_STAGE_VMM] = "vmm",
        [FC_STAGE_EARLY] = "early",     [FC_STAGE_KERNEL] = "kernel",
        [FC_STAGE_MODULES] = "modules", [FC_STAGE_ROOT] = "root",
        [FC_STAGE_AGENT] = "agent",     [FC_STAGE_UNKNOWN] = "unknown",
};

static const char *const cleanup_stage_names[FC_CLEANUP_STAGE_COUNT] = {
        [FC_CLEANUP_FLUSH] = "flush",
        [FC_CLEANUP_STOP] = "stop",
        [FC_CLEANUP_NETWORK] = "network",
        [FC_CLEANUP_FILES] = "files",
};

static const char *const leak_names[FC_LEAK_COUNT] = {
        [FC_LEAK_PROCESS] = "process", [FC_LEAK_DIRECTORY] = "directory", [FC_LEAK_TAP] = "tap",
        [FC_LEAK_BRIDGE] = "bridge",   [FC_LEAK_RULES] = "rules",
};

static const char *const remains_names[FC_REMAINS_COUNT] = {
        [FC_REMAINS_PROCESS] = "process",
        [FC_REMAINS_DIRECTORY] = "directory",
        [FC_REMAINS_FOREIGN] = "foreign",
};

static const char *const reason_names[FC_REASON_COUNT] = {
        [FC_REASON_NONE] = "none",
        [FC_REASON_ERROR] = "error",
        [FC_REASON_VMM_EXIT] = "vmm_exit",
        [FC_REASON_TIMEOUT] = "timeout",
        [FC_REASON_PROTOCOL] = "protocol",
        [FC_REASON_GUEST] = "guest",
        [FC_REASON_GUEST_PANIC] = "guest_panic",
        [FC_REASON_GUEST_REBOOT] = "guest_reboot",
};

/* The pairs of stage and reason that boot.c can count. */
static const struct {
        enum fc_stage stage;
        enum fc_reason reason;
} boot_failures[] = {
        {FC_STAGE_PREPARE, FC_REASON_ERROR},      {FC_STAGE_NETWORK, FC_REASON_ERROR},
        {FC_STAGE_SPAWN, FC_REASON_ERROR},        {FC_STAGE_VMM, FC_REASON_ERROR},
        {FC_STAGE_VMM, FC_REASON_VMM_EXIT},       {FC_STAGE_VMM, FC_REASON_TIMEOUT},
        {FC_STAGE_AGENT, FC_REASON_ERROR},        {FC_STAGE_AGENT, FC_REASON_VMM_EXIT},
        {FC_STAGE_AGENT, FC_REASON_TIMEOUT},      {FC_STAGE_AGENT, FC_REASON_PROTOCOL},
        {FC_STAGE_AGENT, FC_REASON_GUEST},        {FC_STAGE_VMM, FC_REASON_GUEST_PANIC},
        {FC_STAGE_VMM, FC_REASON_GUEST_REBOOT},   {FC_STAGE_AGENT, FC_REASON_GUEST_PANIC},
        {FC_STAGE_AGENT, FC_REASON_GUEST_REBOOT},
};

/* True for the codes that Firecracker documents: each has a class of its own. */
static bool has_class(int code)
{
        return (code >= 0 && code <= 2) || (code >= 148 && code <= 157);
}

static struct prom_counter *exits_of(const struct fc_metrics *m, const char *class)
{
        return prom_counter_with(m->family[FC_VMM_EXITS_TOTAL], class);
}

static struct prom_counter *exits_with(const struct fc_metrics *m, int code)
{
        char class[16];

        snprintf(class, sizeof(class), "exit_%d", code);
        return exits_of(m, class);
}

/* Makes the series that alerts watch exist at 0: increase() misses the first event of a series that
 * begins with it. */
static void add_failures(struct fc_metrics *m)
{
        static const char *const others[] = {"killed", "signal", "stuck", "other"};

        for (size_t i = 0; i < sizeof(boot_failures) / sizeof(boot_failures[0]); i++)
                prom_counter_with(m->family[FC_BOOT_FAILURES_TOTAL],
                                  stage_names[boot_failures[i].stage],
                                  reason_names[boot_failures[i].reason]);
        for (int code = 0; code <= UINT8_MAX; code++)
                if (has_class(code))
                        exits_with(m, code);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                exits_of(m, others[i]);
}

void fc_metrics_add_runtime(struct fc_metrics *m, const char *runtime)
{
        static const enum workload_status ends[] = {WORKLOAD_COMPLETED, WORKLOAD_FAILED,
                                                    WORKLOAD_KILLED};

        for (size_t i = 0; i < 3; i++)
                prom_counter_with(m->family[FC_WORKLOADS_TOTAL], runtime,
                                  workload_status_name(ends[i]));
}

int fc_metrics_init(struct fc_metrics *m, struct prom_registry *registry,
                    char (*runtimes)[WORKLOAD_RUNTIME_MAX], size_t n_runtimes, struct err *err)
{
        struct fc_metrics made = {0};
        int r = metric_obtain_all(registry, fc_metric_descs, FC_METRIC_COUNT, made.family, err);

        if (r < 0)
                return r;
        made.boot = prom_histogram_with(made.family[FC_VM_BOOT_SECONDS]);
        made.vsock = prom_histogram_with(made.family[FC_VSOCK_LATENCY_SECONDS]);
        made.vsock_rtt = prom_histogram_with(made.family[FC_VSOCK_RTT_SECONDS]);
        made.cleanup = prom_histogram_with(made.family[FC_VM_CLEANUP_SECONDS]);
        made.active = prom_gauge_with(made.family[FC_ACTIVE_VMS]);
        made.dropped = prom_counter_with(made.family[FC_OUTPUT_DROPPED_BYTES_TOTAL]);
        made.panics = prom_counter_with(made.family[FC_GUEST_PANICS_TOTAL]);
        made.lost_lines = prom_counter_with(made.family[FC_VMM_METRICS_LOST_TOTAL]);
        made.lost_counters = prom_counter_with(made.family[FC_COUNTERS_LOST_TOTAL]);
        made.output[WORKLOAD_STDOUT] =
                prom_counter_with(made.family[FC_OUTPUT_BYTES_TOTAL], "stdout");
        made.output[WORKLOAD_STDERR] =
                prom_counter_with(made.family[FC_OUTPUT_BYTES_TOTAL], "stderr");
        for (int i = 0; i < FC_LEAK_COUNT; i++)
                made.leaks[i] =
                        prom_counter_with(made.family[FC_LEAKS_RECLAIMED_TOTAL], leak_names[i]);
        for (int i = 0; i < FC_REMAINS_COUNT; i++)
                made.remains[i] = prom_gauge_with(made.family[FC_REMAINS], remains_names[i]);
        made.net_connections =
                prom_counter_with(made.family[FC_NET_DROPPED_PACKETS_TOTAL], "connections");
        made.net_packets = prom_counter_with(made.family[FC_NET_DROPPED_PACKETS_TOTAL], "packets");
        made.net_bandwidth =
                prom_counter_with(made.family[FC_NET_DROPPED_PACKETS_TOTAL], "bandwidth");
        made.net_refused = prom_counter_with(made.family[FC_NET_DROPPED_PACKETS_TOTAL], "refused");
        for (int i = 0; i < FC_STAGE_COUNT; i++)
                made.stage[i] =
                        prom_histogram_with(made.family[FC_VM_START_STAGE_SECONDS], stage_names[i]);
        for (int i = 0; i < FC_CLEANUP_STAGE_COUNT; i++)
                made.cleanup_stage[i] = prom_histogram_with(
                        made.family[FC_VM_CLEANUP_STAGE_SECONDS], cleanup_stage_names[i]);
        for (size_t i = 0; i < n_runtimes; i++)
                fc_metrics_add_runtime(&made, runtimes[i]);
        add_failures(&made);
        *m = made;
        return 0;
}

void fc_metrics_count_dropped(struct fc_metrics *m, struct net *net)
{
        struct net_dropped d;

        net_take_dropped(net, &d);
        prom_counter_add_int(m->net_connections, d.connections);
        prom_counter_add_int(m->net_packets, d.packets);
        prom_counter_add_int(m->net_bandwidth, d.bandwidth);
        prom_counter_add_int(m->net_refused, d.refused);
}

void fc_metrics_count_workload(struct fc_metrics *m, const char *runtime,
                               enum workload_status status)
{
        prom_counter_inc(prom_counter_with(m->family[FC_WORKLOADS_TOTAL], runtime,
                                           workload_status_name(status)));
}

void fc_metrics_count_boot_failure(struct fc_metrics *m, enum fc_stage stage, enum fc_reason reason)
{
        prom_counter_inc(prom_counter_with(m->family[FC_BOOT_FAILURES_TOTAL], stage_names[stage],
                                           reason_names[reason]));
}

void fc_metrics_count_exit(struct fc_metrics *m, int wait_status, bool killed_by_us)
{
        int code = WEXITSTATUS(wait_status);
        struct prom_counter *counter;

        if (WIFSIGNALED(wait_status))
                counter = exits_of(m, killed_by_us && WTERMSIG(wait_status) == 9 ? "killed"
                                                                                 : "signal");
        else
                counter = has_class(code) ? exits_with(m, code) : exits_of(m, "other");
        prom_counter_inc(counter);
}

void fc_metrics_count_stuck(struct fc_metrics *m)
{
        prom_counter_inc(exits_of(m, "stuck"));
}
