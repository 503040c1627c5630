/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of a boot went: from the start of the VMM until the agent was ready, split into
 * stages that add up to it.
 *
 *     spawn | vmm | early | kernel | modules | root | agent
 *     start   |     |       ^ the guest's own times (HELLO), from the start of its kernel's clock
 *             |     ^ the VMM has started the guest (first line of its metrics)
 *             ^ the VMM's process exists
 *
 * The VMM's and the guest's figures are not ours, so they are checked. Time that a missing or
 * impossible figure leaves unexplained goes to the stage `unknown`.
 *
 * Pure. Thread rule: any thread.
 */
#pragma once

#include "backend/firecracker/metrics.h"
#include "wire/message.h"

#include <stdint.h>

/* A stage that this boot did not have. */
#define FC_STAGE_ABSENT UINT64_MAX

/* When things happened: in ns since the start of the VMM, except for the last. */
struct fc_boot_times {
        uint64_t spawned_ns; /* proc_spawn() had returned */
        uint64_t ready_ns;   /* the agent was ready: the boot time */
        /* How many ms before ready_ns the VMM started the guest, by its own report; < 0: unknown. The
         * difference of two clock readings in whole ms, so it is off by less than 1 ms either
         * way. */
        int64_t running_ago_ms;
};

/* Splits a boot into stages, in ns. Entries before FC_STAGE_SPAWN are not set. */
void fc_stages_split(const struct fc_boot_times *times, const struct wire_hello *hello,
                     uint64_t ret_ns[FC_STAGE_COUNT]);
