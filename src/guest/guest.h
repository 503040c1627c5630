/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where programs run: what was prepared before the agent talks to the host.
 *
 * There are two kinds. On a machine of its own (PID 1 of a microVM; boot.h makes it) the agent sets
 * the clock and the network and limits the program by a cgroup. As a process (tests, a fake VMM) it
 * leaves the machine alone and ends programs by process group and as their reaper.
 * Thread rule: everything in this module belongs to the one thread of the agent.
 */
#pragma once

#include "guest/modules.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        GUEST_UID = 1000, /* user and group `sandbox` of programs */
};

struct guest {
        const char *workdir; /* absolute; exists, owned by the program's user */
        const char *home;    /* HOME where the request has none */
        bool machine;        /* the machine is ours: clock, host name, network */
        uid_t uid;           /* user and group of programs; 0: as the agent */
        int cgroup;          /* directory of the program's cgroup; -1: none */
        struct modules modules;
};

#define GUEST_INIT ((struct guest){.cgroup = -1})

/* Microseconds since the kernel started (CLOCK_BOOTTIME), as HELLO reports them. */
uint64_t guest_uptime_us(void);
