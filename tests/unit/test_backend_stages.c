/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a boot: they add up to it, whatever VMM and guest report. */
#include "backend/firecracker/stages.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NONE = -1 };

/* Times in ms. A boot of 1000 ms whose process took 10 ms to spawn. */
static const struct row {
        const char *name;
        int running_ago; /* as the VMM reports it */
        int guest[4];    /* init, modules, root, connect: as the guest reports them */
        int vmm, early, kernel, modules, root, agent, unknown; /* expected; NONE: absent */
} table[] = {
        {"all known", 700, {100, 150, 350, 400}, 290, 300, 100, 50, 200, 50, NONE},
        {"no modules", 700, {100, 0, 350, 400}, 290, 300, 100, NONE, 250, 50, NONE},
        {"the agent alone", 700, {0, 0, 0, 400}, 290, 300, NONE, NONE, NONE, 400, NONE},
        {"no time from the VMM", -1, {100, 150, 350, 400}, NONE, NONE, 100, 50, 200, 50, 590},
        {"no time from the guest", 700, {0, 0, 0, 0}, 290, NONE, NONE, NONE, NONE, NONE, 700},
        {"no time at all", -1, {0, 0, 0, 0}, NONE, NONE, NONE, NONE, NONE, NONE, 990},
        /* Impossible figures count as missing. */
        {"a guest older than its VM", 700, {0, 0, 0, 991}, 290, NONE, NONE, NONE, NONE, NONE, 700},
        {"a guest whose time runs back", 700, {9, 5, 7, 9}, 290, NONE, NONE, NONE, NONE, NONE, 700},
        {"a guest that ends before", 700, {9, 9, 9, 0}, 290, NONE, NONE, NONE, NONE, NONE, 700},
        {"a VMM before its process", 992, {9, 9, 9, 9}, NONE, NONE, 9, 0, 0, 0, 981},
        /* The VMM's time has a resolution of 1 ms, and a busy VMM reports late. */
        {"at the process's start", 991, {9, 9, 9, 9}, 0, 981, 9, 0, 0, 0, NONE},
        {"after the kernel's start", 5, {100, 150, 350, 400}, 590, 0, 100, 50, 200, 50, NONE},
        {"when the agent is ready", 0, {0, 0, 0, 0}, 990, NONE, NONE, NONE, NONE, NONE, 0},
        {"a guest as old as its VM", 700, {0, 0, 0, 990}, 0, 0, NONE, NONE, NONE, 990, NONE},
};

static void expect(const struct row *row, const char *stage, uint64_t got, int want_ms)
{
        uint64_t want = want_ms == NONE ? FC_STAGE_ABSENT : (uint64_t)want_ms * NS_PER_MS;

        if (got != want)
                fail_msg("%s: stage %s is %.3f ms, not %d", row->name, stage, (double)got / 1e6,
                         want_ms);
}

static void stages_add_up_to_the_boot_time(void **state)
{
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                const struct row *row = &table[i];
                struct fc_boot_times times = {.spawned_ns = 10 * NS_PER_MS,
                                              .ready_ns = 1000 * NS_PER_MS,
                                              .running_ago_ms = row->running_ago};
                struct wire_hello hello = {.init_us = (uint64_t)row->guest[0] * 1000,
                                           .modules_us = (uint64_t)row->guest[1] * 1000,
                                           .root_us = (uint64_t)row->guest[2] * 1000,
                                           .connect_us = (uint64_t)row->guest[3] * 1000};
                uint64_t took[FC_STAGE_COUNT], sum = 0;

                fc_stages_split(&times, &hello, took);
                for (int s = FC_STAGE_SPAWN; s < FC_STAGE_COUNT; s++)
                        sum += took[s] == FC_STAGE_ABSENT ? 0 : took[s];
                if (sum != times.ready_ns)
                        fail_msg("%s: the sum is %.3f ms", row->name, (double)sum / 1e6);
                expect(row, "spawn", took[FC_STAGE_SPAWN], 10);
                expect(row, "vmm", took[FC_STAGE_VMM], row->vmm);
                expect(row, "early", took[FC_STAGE_EARLY], row->early);
                expect(row, "kernel", took[FC_STAGE_KERNEL], row->kernel);
                expect(row, "modules", took[FC_STAGE_MODULES], row->modules);
                expect(row, "root", took[FC_STAGE_ROOT], row->root);
                expect(row, "agent", took[FC_STAGE_AGENT], row->agent);
                expect(row, "unknown", took[FC_STAGE_UNKNOWN], row->unknown);
        }
}

static void extreme_figures_do_not_overflow(void **state)
{
        static const int64_t ago[] = {INT64_MIN, -1, 0, 1, 2, INT64_MAX};
        static const uint64_t us[] = {0, 1, UINT64_MAX / 1000, INT64_MAX, UINT64_MAX};

        for (size_t a = 0; a < sizeof(ago) / sizeof(ago[0]); a++) {
                for (size_t b = 0; b < sizeof(us) / sizeof(us[0]); b++) {
                        struct fc_boot_times times = {.ready_ns = 500000, .running_ago_ms = ago[a]};
                        struct wire_hello hello = {.init_us = us[b], .connect_us = us[b]};
                        uint64_t took[FC_STAGE_COUNT], sum = 0;

                        fc_stages_split(&times, &hello, took);
                        for (int s = FC_STAGE_SPAWN; s < FC_STAGE_COUNT; s++)
                                sum += took[s] == FC_STAGE_ABSENT ? 0 : took[s];
                        assert_int_equal(sum, times.ready_ns);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stages_add_up_to_the_boot_time),
                cmocka_unit_test(extreme_figures_do_not_overflow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
