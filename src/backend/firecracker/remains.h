/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanups that take long: killed processes that do not exit yet (the kernel is freeing a guest's
 * memory or waits for I/O), and directories that cannot be removed. One thread, started on first
 * use, waits for all of them, so that no workload has to. It completes each cleanup as soon as it
 * can: it removes the directory, releases its lock and takes the VM out of `active_vms`.
 *
 * The thread waits on pidfds. Members of a VMM's group that have none are checked once a second at
 * least, directories once a minute. The gauge vulcan_firecracker_remains counts entries by kind.
 *
 * Admission does not count the memory of these VMs: other workloads would be delayed for as long as
 * the kernel takes, and most entries last a few seconds. So leave some memory of the machine
 * unconfigured, and alert on the gauge.
 *
 * Thread rule: any thread; fc_remains_free() while no other function runs.
 */
#pragma once

#include "backend/firecracker/metrics.h"
#include "base/proc.h"
#include "base/ulid.h"

#include <limits.h>

enum {
        FC_REMAINS_MAX = 1024, /* entries; what does not fit is reclaimed by the next start */
        FC_REMAINS_STOP_MS = 2 * 1000, /* fc_remains_free() waits for processes up to this time */
        FC_REMAINS_DIR_FILES = 10000,  /* files removed before other entries are served */
        FC_REMAINS_DIR_RETRY_S = 60,
};

struct fc_remains;

/* What remains of one VM. fc_remains_take() consumes the descriptors. */
struct fc_remain {
        char id[NAME_MAX + 1]; /* name of the directory, for messages */
        char dir[PATH_MAX];    /* path of the directory; "": none */
        int dir_fd;            /* holds the directory's lock; -1: none */
        struct proc proc;      /* the VMM; pidfd -1: it has been reaped */
        bool killed_by_us;     /* for the count of VMM exits */
        bool active;           /* the VM counts in active_vms */
        bool orphan;           /* started by another process, so it cannot be reaped */
};

struct fc_remains *fc_remains_new(struct fc_metrics *metrics);

/* Takes over the cleanup. False, with nothing taken, if there is no room or no thread can be
 * started. */
bool fc_remains_take(struct fc_remains *r, const struct fc_remain *what);

/* Waits up to FC_REMAINS_STOP_MS for processes, abandons the rest to the next start, and frees.
 * Accepts NULL. */
void fc_remains_free(struct fc_remains *r);

/*
 * Removes a VM's directory, even if it was moved, and whatever has taken its place. Removes `max`
 * files at most (0: no limit); -EAGAIN if there are more.
 */
int fc_remove_vm_dir(int dir_fd, const char *dir, size_t max, struct err *err);
