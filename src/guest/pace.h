/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits how often small pieces of output are sent to the host. Reading, framing and sending a
 * piece costs the guest as much for one byte as for thousands, and the agent has priority over the
 * program. Without a limit, a program that writes byte by byte would wait for that work at each
 * byte.
 *
 * The first PACE_BURST pieces are sent without delay. After them one piece is sent each
 * PACE_INTERVAL_US, with everything written meanwhile. A program that pauses regains its burst. So
 * interactive output is delayed only if there are more than 500 pieces a second, and then by at
 * most 2 ms. Pieces of PACE_LARGE bytes and more are neither delayed nor counted.
 *
 * Callers pass in the time, in nanoseconds of CLOCK_MONOTONIC.
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
        uint64_t due_ns; /* when the pieces sent so far have drained (a leaky bucket) */
};

/* Nanoseconds until a small piece may be sent; 0: now. */
static inline uint64_t pace_wait(const struct pace *p, uint64_t now_ns)
{
        uint64_t from_ns = now_ns + (PACE_BURST - 1) * PACE_INTERVAL_US * NS_PER_US;

        return p->due_ns > from_ns ? p->due_ns - from_ns : 0;
}

/* Counts a piece of n bytes that is sent now. */
static inline void pace_take(struct pace *p, uint64_t now_ns, size_t n)
{
        if (n == 0 || n >= PACE_LARGE)
                return;
        if (p->due_ns < now_ns)
                p->due_ns = now_ns;
        p->due_ns += PACE_INTERVAL_US * NS_PER_US;
}
