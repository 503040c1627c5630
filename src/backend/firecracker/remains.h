/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remains of VMs that could not be taken down at once: killed processes that do not exit (the
 * kernel is freeing a guest's memory or waits for I/O), and directories that cannot be removed. One
 * thread, started on first use, waits for all of them, so that no workload does, and finishes each
 * cleanup when it can: it then releases directory, lock and `active_vms`.
 *
 * It waits on pidfds, and checks once a second for processes without one (members of a VMM's group).
 * It retries directories once a minute. The gauge vulcan_firecracker_remains counts them by kind.
 *
 * Admission no longer counts the memory of a VM in this list: that would delay others for as long as
 * the kernel takes, and most entries last a few seconds. So do not configure a machine to its last
 * MiB, and alert on the gauge.
 *
 * Thread rule: any thread, fc_remains_free() when no other function runs.
 */
#pragma once

#include "backend/firecracker/metrics.h"
#include "base/proc.h"
#include "base/ulid.h"

#include <limits.h>

enum {
        FC_REMAINS_MAX = 1024,         /* beyond it they are left to the next start */
        FC_REMAINS_STOP_MS = 2 * 1000, /* wait for processes at the end of the program, at most */
        FC_REMAINS_DIR_FILES = 10000,  /* removed at once; then others have their turn */
        FC_REMAINS_DIR_RETRY_S = 60,
};

struct fc_remains;

/* One VM's. Descriptors are consumed by fc_remains_take(). */
struct fc_remain {
        char id[NAME_MAX + 1]; /* name of its directory */
        char dir[PATH_MAX];    /* where it should be; "": there is none */
        int dir_fd;            /* holds its lock; -1: there is none */
        struct proc proc;      /* pidfd -1: it has ended */
        bool killed_by_us;     /* how its end counts */
        bool active;           /* counted in active_vms */
        bool orphan;           /* of another process: not ours to reap */
};

struct fc_remains *fc_remains_new(struct fc_metrics *metrics);

/* Takes over. False when there is no room: nothing was taken. */
bool fc_remains_take(struct fc_remains *r, const struct fc_remain *what);

/* Waits a bounded time for what is left, leaves the rest to the next start, and frees. Takes NULL. */
void fc_remains_free(struct fc_remains *r);

/*
 * Removes a VM's directory, wherever it has been moved to, and whatever has replaced it. Looks at
 * `max` files at most (0: at all); -EAGAIN if there are more.
 */
int fc_remove_vm_dir(int dir_fd, const char *dir, size_t max, struct err *err);
