/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program used: CPU time and peak memory, from its cgroup, or where there is none from the
 * processes that the agent reaped. Pure but for reading the cgroup.
 */
#pragma once

#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct usage {
        int cgroup;                  /* its directory; -1: none */
        uint64_t user_us, system_us; /* of the cgroup before the program */
        uint64_t reaped_user_us, reaped_system_us, reaped_peak; /* of reaped processes; bytes */
};

/* The program is about to start: what was used so far is not its own. */
void usage_begin(struct usage *u, int cgroup);

/* A process was reaped. */
void usage_add(struct usage *u, const struct rusage *reaped);

/* Sets user_us, system_us and memory_peak of a result. True if the cgroup ran out of memory. */
bool usage_report(const struct usage *u, struct wire_result *ret);
