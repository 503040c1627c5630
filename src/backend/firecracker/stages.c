/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/stages.h"

#include "base/clock.h"

#include <assert.h>

/* The guest's stages, in order. */
enum { GUEST_STAGES = FC_STAGE_AGENT - FC_STAGE_KERNEL + 1 };

/*
 * The guest's stages from its times, which count from the start of its kernel's clock; 0 means that
 * there is no such stage. Returns their sum, or 0 with all of them absent if one is impossible.
 */
static uint64_t split_guest(const struct wire_hello *hello, uint64_t room_ns, uint64_t *ret_ns)
{
        uint64_t at_us[GUEST_STAGES] = {hello->init_us, hello->modules_us, hello->root_us,
                                        hello->connect_us};
        uint64_t took_ns[GUEST_STAGES], before = 0;

        if (hello->connect_us > room_ns / NS_PER_US)
                return 0;
        for (int i = 0; i < GUEST_STAGES; i++) {
                took_ns[i] = FC_STAGE_ABSENT;
                if (!at_us[i])
                        continue;
                if (at_us[i] < before)
                        return 0;
                took_ns[i] = (at_us[i] - before) * NS_PER_US;
                before = at_us[i];
        }
        if (before != hello->connect_us)
                return 0;
        for (int i = 0; i < GUEST_STAGES; i++)
                ret_ns[i] = took_ns[i];
        return before * NS_PER_US;
}

/*
 * When the VMM had started the guest. False if that is unknown or impossible. A busy VMM may write
 * it down only after the guest's kernel has begun to count: the VMM's share ends there at the
 * latest.
 */
static bool find_running(const struct fc_boot_times *t, uint64_t kernel_ns, uint64_t *ret_ns)
{
        uint64_t ago_ms = (uint64_t)t->running_ago_ms, running_ns;

        if (t->running_ago_ms < 0 || ago_ms > (t->ready_ns - t->spawned_ns) / NS_PER_MS + 1)
                return false;
        running_ns =
                t->ready_ns - (ago_ms * NS_PER_MS < t->ready_ns ? ago_ms * NS_PER_MS : t->ready_ns);
        if (running_ns < t->spawned_ns)
                running_ns = t->spawned_ns;
        *ret_ns = running_ns < kernel_ns ? running_ns : kernel_ns;
        return true;
}

void fc_stages_split(const struct fc_boot_times *t, const struct wire_hello *hello,
                     uint64_t ret_ns[FC_STAGE_COUNT])
{
        uint64_t guest_ns, kernel_ns, running_ns;

        assert(t->spawned_ns <= t->ready_ns);
        for (int i = FC_STAGE_SPAWN; i < FC_STAGE_COUNT; i++)
                ret_ns[i] = FC_STAGE_ABSENT;
        ret_ns[FC_STAGE_SPAWN] = t->spawned_ns;
        guest_ns = split_guest(hello, t->ready_ns - t->spawned_ns, &ret_ns[FC_STAGE_KERNEL]);
        kernel_ns = t->ready_ns - guest_ns;
        if (!find_running(t, kernel_ns, &running_ns)) {
                ret_ns[FC_STAGE_UNKNOWN] = kernel_ns - t->spawned_ns;
                return;
        }
        ret_ns[FC_STAGE_VMM] = running_ns - t->spawned_ns;
        ret_ns[guest_ns ? FC_STAGE_EARLY : FC_STAGE_UNKNOWN] = kernel_ns - running_ns;
}
