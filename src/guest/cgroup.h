/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control group (version 2) of the program and all it starts: bounds it, counts it, kills it.
 * A group is known by a descriptor of its directory. Functions that read give zeros where the
 * kernel lacks a file.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_usage {
        uint64_t user_us, system_us;
        uint64_t memory_peak; /* bytes */
        bool oom;             /* a process of it was killed for want of memory */
};

/* Creates `name` below the hierarchy mounted at `root`; returns its directory. */
int cgroup_create(const char *root, const char *name, struct err *err);

/*
 * Bounds processes and memory (bytes, swap included). Running out of memory ends the whole group:
 * a program that lost one of its processes is of no use to anybody.
 */
int cgroup_limit(int cgroup, uint32_t processes, uint64_t memory, struct err *err);

/*
 * fork() whose child is in the group from its first instruction; -1: an ordinary fork(). Moving a
 * running process would wait for an RCU grace period, tens of milliseconds. Sets errno.
 */
pid_t cgroup_fork(int cgroup);

/* Sends SIGKILL to all in the group, atomically with respect to fork. -errno. */
int cgroup_kill(int cgroup);

/*
 * A descriptor that reports POLLPRI while the group presses against its bound; -1 where there is
 * none. Each report has to be answered by cgroup_is_full().
 *
 * A program that fills its memory with data never quite runs out of it: the kernel takes away the
 * pages of its own text and reads them again, for ever. So it counts as out of memory when what the
 * kernel cannot take back leaves too little for files.
 */
int cgroup_open_pressure(int cgroup);
bool cgroup_is_full(int cgroup, int pressure);

void cgroup_read_usage(int cgroup, struct cgroup_usage *ret);
