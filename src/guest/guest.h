/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment in which programs run, prepared before the agent talks to the host.
 *
 * There are two kinds. On a machine of its own (PID 1 of a microVM, see boot.h) the agent sets the
 * clock and the network and limits the program by a cgroup. As a process (tests, a fake VMM) it
 * does not touch the machine, and kills programs by process group and as their reaper. Thread rule:
 * this module belongs to the only thread of the agent.
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
        const char *home;    /* HOME if the request sets none */
        bool machine;        /* the agent may set clock, host name and network */
        uid_t uid;           /* user and group of programs; 0: the agent's */
        int cgroup;          /* directory of the program's cgroup; -1: none */
        struct modules modules;
};

#define GUEST_INIT ((struct guest){.cgroup = -1})

/* Microseconds since the kernel's clock started (CLOCK_BOOTTIME), as HELLO reports them. */
uint64_t guest_uptime_us(void);
