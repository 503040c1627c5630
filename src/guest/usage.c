/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/usage.h"

#include "guest/cgroup.h"

void usage_begin(struct usage *u, int cgroup)
{
        struct cgroup_usage before = {0};

        if (cgroup >= 0)
                cgroup_read_usage(cgroup, &before);
        *u = (struct usage){
                .cgroup = cgroup, .user_us = before.user_us, .system_us = before.system_us};
}

static uint64_t microseconds(const struct timeval *t)
{
        return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

void usage_add(struct usage *u, const struct rusage *reaped)
{
        uint64_t peak = (uint64_t)reaped->ru_maxrss * 1024;

        u->reaped_user_us += microseconds(&reaped->ru_utime);
        u->reaped_system_us += microseconds(&reaped->ru_stime);
        if (peak > u->reaped_peak)
                u->reaped_peak = peak;
}

bool usage_report(const struct usage *u, struct wire_result *ret)
{
        struct cgroup_usage now = {0};

        if (u->cgroup < 0) {
                ret->user_us = u->reaped_user_us;
                ret->system_us = u->reaped_system_us;
                ret->memory_peak = u->reaped_peak;
                return false;
        }
        cgroup_read_usage(u->cgroup, &now);
        ret->user_us = now.user_us > u->user_us ? now.user_us - u->user_us : 0;
        ret->system_us = now.system_us > u->system_us ? now.system_us - u->system_us : 0;
        ret->memory_peak = now.memory_peak ? now.memory_peak : u->reaped_peak;
        return now.oom;
}
