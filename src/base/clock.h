/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Durations come from CLOCK_MONOTONIC only; the wall clock is for people and records. */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Nanoseconds of CLOCK_MONOTONIC. Any thread. */
static inline uint64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Milliseconds since 1970, UTC. Any thread. */
static inline int64_t clock_wall_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A condition whose timed waits are by clock_ns(). */
static inline void clock_cond_init(pthread_cond_t *ret)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(ret, &attr);
        pthread_condattr_destroy(&attr);
}

static inline double ns_to_s(uint64_t ns)
{
        return (double)ns / 1e9;
}

/*
 * Milliseconds from now until `deadline_ns`, rounded up, as poll() takes them: 0 when it has
 * passed, -1 (for ever) when deadline_ns is 0.
 */
static inline int clock_poll_ms(uint64_t deadline_ns)
{
        uint64_t now = clock_ns();
        uint64_t ms;

        if (!deadline_ns)
                return -1;
        if (deadline_ns <= now)
                return 0;
        ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
        return ms > 0x7fffffff ? 0x7fffffff : (int)ms;
}
