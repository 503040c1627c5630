/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of the Firecracker backend, declared in one table (fc_metric_descs), from which they
 * are registered and docs/metrics.md is made.
 *
 * The first five describe a VM's life. Their help says where each measurement starts and stops;
 * execute.c, boot.c and vm.c take them.
 *
 * Thread rule: any thread, as for prom's handles.
 */
#pragma once

#include "base/err.h"
#include "net/net.h"
#include "metric/metric.h"
#include "workload/workload.h"

enum fc_metric {
        FC_VM_BOOT_SECONDS,
        FC_ACTIVE_VMS,
        FC_VSOCK_LATENCY_SECONDS,
        FC_VM_CLEANUP_SECONDS,
        FC_WORKLOADS_TOTAL,
        FC_VSOCK_RTT_SECONDS,
        FC_VM_START_STAGE_SECONDS,
        FC_VM_CLEANUP_STAGE_SECONDS,
        FC_BOOT_FAILURES_TOTAL,
        FC_GUEST_PANICS_TOTAL,
        FC_VMM_EXITS_TOTAL,
        FC_OUTPUT_BYTES_TOTAL,
        FC_OUTPUT_DROPPED_BYTES_TOTAL,
        FC_LEAKS_RECLAIMED_TOTAL,
        FC_REMAINS,
        FC_NET_DROPPED_PACKETS_TOTAL,
        FC_VMM_METRICS_LOST_TOTAL,
        FC_COUNTERS_LOST_TOTAL,
        FC_VMM_VSOCK_BYTES_TOTAL,
        FC_VMM_VSOCK_CONNECTIONS_TOTAL,
        FC_VMM_BLOCK_BYTES_TOTAL,
        FC_VMM_NET_BYTES_TOTAL,
        FC_VMM_NET_FAILURES_TOTAL,
        FC_VMM_VCPU_EXITS_TOTAL,
        FC_VMM_VCPU_FAILURES_TOTAL,
        FC_VMM_SECCOMP_FAULTS_TOTAL,
        FC_METRIC_COUNT,
};

extern const struct metric_desc fc_metric_descs[FC_METRIC_COUNT];

/* The stages of starting a VM: two before its boot time, the others add up to it (stages.h). Label
 * values in metrics.c. */
enum fc_stage {
        FC_STAGE_PREPARE, /* image found, directory and configuration written */
        FC_STAGE_NETWORK, /* TAP and address */
        FC_STAGE_SPAWN,   /* VMM process started */
        FC_STAGE_VMM,     /* VMM, until it had started the guest */
        FC_STAGE_EARLY,   /* guest, until its kernel's clock started: firmware, unpacking */
        FC_STAGE_KERNEL,  /* guest kernel, until the agent's first instruction */
        FC_STAGE_MODULES, /* agent: kernel modules */
        FC_STAGE_ROOT,    /* agent: root file system */
        FC_STAGE_AGENT,   /* agent: connection to the host */
        FC_STAGE_UNKNOWN, /* time that the figures of VMM or guest do not explain */
        FC_STAGE_COUNT,
};

enum fc_cleanup_stage {
        FC_CLEANUP_FLUSH,   /* request for the VMM's counters */
        FC_CLEANUP_STOP,    /* from SIGKILL until the VMM is reaped */
        FC_CLEANUP_NETWORK, /* TAP and address released, in parallel with one of the two above */
        FC_CLEANUP_FILES,   /* directory removed */
        FC_CLEANUP_STAGE_COUNT,
};

/* Why a VM did not become ready. Label values in metrics.c. */
enum fc_reason {
        FC_REASON_NONE,
        FC_REASON_ERROR,        /* a step on the host failed: see the workload's error */
        FC_REASON_VMM_EXIT,     /* the VMM rejected its configuration, or crashed */
        FC_REASON_TIMEOUT,      /* the boot timeout passed */
        FC_REASON_PROTOCOL,     /* the agent's first frame was not a HELLO of this version */
        FC_REASON_GUEST,        /* the agent reported an error (image, modules) */
        FC_REASON_GUEST_PANIC,  /* the guest's kernel panicked */
        FC_REASON_GUEST_REBOOT, /* the guest restarted without an error message */
        FC_REASON_COUNT,
};

/* Kinds of leaks that are reclaimed. Label values in metrics.c. */
enum fc_leak {
        FC_LEAK_PROCESS, /* a VMM */
        FC_LEAK_DIRECTORY,
        FC_LEAK_TAP,
        FC_LEAK_BRIDGE,
        FC_LEAK_RULES, /* the tables of nftables, together */
        FC_LEAK_COUNT,
};

/* Remains of VMs that could not be removed yet. Label values in metrics.c. */
enum fc_remains_kind {
        FC_REMAINS_PROCESS, /* VMMs, and processes they started, that were killed and still exist */
        FC_REMAINS_DIRECTORY, /* directories of VMs that are gone */
        FC_REMAINS_FOREIGN,   /* entries in the directory of VMs that are not Vulcan's */
        FC_REMAINS_COUNT,
};

/* Handles of the backend's metrics. Series with known labels exist from the start, at 0. */
struct fc_metrics {
        struct prom_family *family[FC_METRIC_COUNT];
        struct prom_histogram *boot, *vsock, *vsock_rtt, *cleanup;
        struct prom_gauge *active;
        struct prom_histogram *stage[FC_STAGE_COUNT];
        struct prom_histogram *cleanup_stage[FC_CLEANUP_STAGE_COUNT];
        struct prom_counter *output[3]; /* by enum workload_stream */
        struct prom_counter *dropped;
        struct prom_counter *panics; /* while a program ran */
        struct prom_counter *lost_lines, *lost_counters;
        struct prom_counter *leaks[FC_LEAK_COUNT];
        struct prom_gauge *remains[FC_REMAINS_COUNT];
        struct prom_counter *net_connections, *net_packets, *net_bandwidth, *net_refused;
};

/* Registers the metrics, or finds them if they are. `runtimes`: whose workloads_total series exist
 * from the start. */
int fc_metrics_init(struct fc_metrics *m, struct prom_registry *registry,
                    char (*runtimes)[WORKLOAD_RUNTIME_MAX], size_t n_runtimes, struct err *err);

/* Makes the workloads_total series of another runtime exist. */
void fc_metrics_add_runtime(struct fc_metrics *m, const char *runtime);

/* Adds the packets that the network has dropped since the last call. */
void fc_metrics_count_dropped(struct fc_metrics *m, struct net *net);

void fc_metrics_count_workload(struct fc_metrics *m, const char *runtime,
                               enum workload_status status);
void fc_metrics_count_boot_failure(struct fc_metrics *m, enum fc_stage stage,
                                   enum fc_reason reason);

/* Counts a VMM's exit by class: "killed" (by us), "exit_0", "exit_1", "exit_148" …, "signal",
 * "other". */
void fc_metrics_count_exit(struct fc_metrics *m, int wait_status, bool killed_by_us);
/* Counts a VMM that was killed and does not exit, as class "stuck". */
void fc_metrics_count_stuck(struct fc_metrics *m);
