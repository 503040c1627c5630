/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control group (version 2) of the program and its descendants: limits, accounts for and kills
 * them. A group is identified by a descriptor of its directory. Values that the kernel does not
 * offer read as 0.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_usage {
        uint64_t user_us, system_us;
        uint64_t memory_peak; /* bytes */
        bool oom;             /* a process was killed for lack of memory */
};

/* Creates `name` below the hierarchy mounted at `root`; returns its directory. */
int cgroup_create(const char *root, const char *name, struct err *err);

/*
 * Limits processes and memory (bytes, including swap). Running out of memory kills the whole group,
 * since a program that has lost one of its processes rarely ends well.
 */
int cgroup_limit(int cgroup, uint32_t processes, uint64_t memory, struct err *err);

/*
 * fork() with the child in the group from its first instruction; with `cgroup` -1 an ordinary
 * fork(). Moving a running process into a group would wait for an RCU grace period, tens of
 * milliseconds. Sets errno.
 */
pid_t cgroup_fork(int cgroup);

/* Sends SIGKILL to all processes of the group, atomically with respect to fork. -errno. */
int cgroup_kill(int cgroup);

/*
 * Opens a descriptor that reports POLLPRI while the group is close to its memory limit; -1: not
 * available. Call cgroup_is_full() after each report.
 *
 * A program that fills its memory with data never quite reaches the limit: the kernel evicts the
 * pages of the program's own code and reads them again, without end. So the group counts as out of
 * memory when the memory that cannot be reclaimed leaves too little for pages of files.
 */
int cgroup_open_pressure(int cgroup);
bool cgroup_is_full(int cgroup, int pressure);

void cgroup_read_usage(int cgroup, struct cgroup_usage *ret);
