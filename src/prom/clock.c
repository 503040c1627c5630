/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/clock.h"

#include "prom/prom.h"

#include <time.h>

uint64_t prom_now_ns(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t prom_wall_ms_(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
