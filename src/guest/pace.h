/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When small pieces of output go to the host. Reading, framing and sending a piece costs the guest as
 * much for one byte as for thousands, and the agent goes before the program: without a limit, a
 * program that writes byte by byte waits for all of that at each byte.
 *
 * The first PACE_BURST pieces go at once; after them one goes each PACE_INTERVAL_US, with all that was
 * written meanwhile. A program that pauses gets its burst back, so output that somebody waits for is
 * never delayed unless more than 500 pieces a second come, and then by 2 ms at most. Pieces of
 * PACE_LARGE and more pay for themselves: they are not held and not counted.
 *
 * Callers pass in the time, nanoseconds of CLOCK_MONOTONIC.
 */
#pragma once

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>

enum {
        PACE_INTERVAL_US = 2000,
        PACE_BURST = 4,
        PACE_LARGE = 16 * 1024,
};

struct pace {
        uint64_t due_ns; /* when the pieces sent so far are paid for (a leaky bucket) */
};

/* Nanoseconds until a small piece may go; 0: now. */
static inline uint64_t pace_wait(const struct pace *p, uint64_t now_ns)
{
        uint64_t from_ns = now_ns + (PACE_BURST - 1) * PACE_INTERVAL_US * NS_PER_US;

        return p->due_ns > from_ns ? p->due_ns - from_ns : 0;
}

/* Counts a piece of n bytes that goes now. */
static inline void pace_take(struct pace *p, uint64_t now_ns, size_t n)
{
        if (n == 0 || n >= PACE_LARGE)
                return;
        if (p->due_ns < now_ns)
                p->due_ns = now_ns;
        p->due_ns += PACE_INTERVAL_US * NS_PER_US;
}
