/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of VMs that could not be taken down at once: processes that were killed and do not
 * end (in the kernel, which takes back a guest's memory or waits for I/O), and directories that
 * cannot be removed. One thread, made when it is first needed, waits for all of them, so that no
 * workload does, and finishes each cleanup when it can: directory, lock and `active_vms` go then.
 *
 * Processes are waited for by their pidfd, and looked at every second for what has none (members of
 * a VMM's group); directories are tried again once a minute. The gauge vulcan_firecracker_remains
 * shows how many there are by kind.
 *
 * A VM that is here has given its place to the next one: its memory is not counted by the engine's
 * admission. That would hold up others for as long as a kernel takes, and most are here for a few
 * seconds. So a machine should not be lent out to its last MiB, and the gauge is what an alert asks.
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
