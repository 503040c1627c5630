/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"

#include <time.h>

uint64_t guest_uptime_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
