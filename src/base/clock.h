/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Durations and deadlines are measured by CLOCK_MONOTONIC only; the wall clock is for people
 * and records. Any thread. */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Milliseconds since 1970, UTC. */
static inline int64_t clock_wall_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct timespec clock_timespec(uint64_t ns)
{
        return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
                                 .tv_nsec = (long)(ns % NS_PER_S)};
}

/*
 * Waits on a condition until clock_ns() reaches `deadline_ns`; UINT64_MAX waits without a limit.
 * Returns false if the deadline has passed. As with pthread_cond_wait(), a wake-up may be spurious.
 */
static inline bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock,
                                   uint64_t deadline_ns)
{
        struct timespec deadline = clock_timespec(deadline_ns);

        if (deadline_ns == UINT64_MAX)
                return pthread_cond_wait(cond, lock) == 0;
        return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT;
}

static inline double ns_to_s(uint64_t ns)
{
        return (double)ns / 1e9;
}

/* The timeout for poll(): milliseconds until `deadline_ns`, rounded up. 0 if the deadline has
 * passed; -1, which waits without a limit, if deadline_ns is 0. */
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
