/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU time and peak memory of a program: from its cgroup, or without one from the processes
 * that the agent reaped. Reads the cgroup's files; otherwise pure data.
 */
#pragma once

#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct usage {
        int cgroup;                  /* its directory; -1: none */
        uint64_t user_us, system_us; /* used by the cgroup before the program started */
        uint64_t reaped_user_us, reaped_system_us, reaped_peak; /* of reaped processes; bytes */
};

/* Starts the accounting: earlier use of the cgroup does not count. */
void usage_begin(struct usage *u, int cgroup);

/* Adds a reaped process. */
void usage_add(struct usage *u, const struct rusage *reaped);

/* Sets user_us, system_us and memory_peak of a result. True if the cgroup ran out of memory. */
bool usage_report(const struct usage *u, struct wire_result *ret);
