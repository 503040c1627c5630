/* SPDX-License-Identifier: Apache-2.0 */
/* Failures of a VMM, a guest or an agent: each has its status, message and metrics, and leaves
 * nothing behind. */
#include "backend_fixture.h"
#include "slow.h"

#include "base/clock.h"
#include "base/log.h"

static const struct failing {
        const char *way;
        enum workload_status status;
        const char *message; /* part of the workload's error */
        int boots, vsock, vms;
        const char *failure; /* series that counts each VM that did not boot; NULL: all booted */
} failing[] = {
        {"refuse", WORKLOAD_FAILED,
         "code 153; log: Error: Fake(\"Arguments parsing error: told to refuse\"); console: ", 0, 0,
         1, FAILURE("vmm", "vmm_exit")},
        {"reject", WORKLOAD_FAILED,
         "code 1; log: RunWithoutApiError error: told to reject the configuration; console: [", 0,
         0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:1", WORKLOAD_FAILED, "code 1; console: ", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:2", WORKLOAD_FAILED, "exited with code 2", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:7", WORKLOAD_FAILED, "told to exit with 7", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:148", WORKLOAD_FAILED, "code 148", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:152", WORKLOAD_FAILED, "code 152", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:153", WORKLOAD_FAILED, "code 153", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"reboot", WORKLOAD_FAILED, "exited with code 0", 0, 0, 2, FAILURE("vmm", "guest_reboot")},
        {"triple-fault", WORKLOAD_FAILED, "code 1; log: Unexpected exit reason", 0, 0, 2,
         FAILURE("vmm", "guest_reboot")},
        {"panic:0", WORKLOAD_FAILED,
         "code 0; console: VFS: Cannot open root device \"vda\" or unknown-block(0,0) | "
         "Kernel panic - not syncing: told to panic",
         0, 0, 2, FAILURE("vmm", "guest_panic")},
        {"panic:1", WORKLOAD_FAILED, "guest panic: microVM did not boot: the VMM", 0, 0, 2,
         FAILURE("vmm", "guest_panic")},
        {"panic-midrun", WORKLOAD_FAILED, "guest panic: the guest agent was lost: the VMM ", 1, 1,
         1, NULL},
        {"crash-before-hello", WORKLOAD_FAILED, "Kernel panic", 0, 0, 2,
         FAILURE("vmm", "vmm_exit")},
        {"garbage", WORKLOAD_FAILED, "garbage", 0, 0, 1, FAILURE("agent", "protocol")},
        {"hello-error", WORKLOAD_FAILED, "no root image", 0, 0, 1, FAILURE("agent", "guest")},
        {"crash-after-hello", WORKLOAD_FAILED, "killed by signal 11", 1, 0, 1, NULL},
        {"crash-midrun", WORKLOAD_FAILED, "killed by signal 11", 1, 1, 1, NULL},
        {"torn", WORKLOAD_FAILED, "/fake_firecracker still runs", 1, 0, 1, NULL},
        {"torn-metrics", WORKLOAD_COMPLETED, "", 1, 1, 1, NULL},
};

static void each_failure_has_its_message_and_leaves_nothing_behind(void **state)
{
        for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
                const struct failing *f = &failing[i];
                struct workload_outcome out;
                struct box box;

                box_open(&box, NULL, 0);
                setenv("FAKE_FC_FAIL", f->way, 1);
                out = box_run(&box, "print hello\n");
                if (out.status != f->status || !strstr(out.error, f->message) ||
                    strchr(out.error, '\n'))
                        fail_msg("%s: %s: \"%s\"", f->way, workload_status_name(out.status),
                                 out.error);
                if (box_value(&box, BOOT) != f->boots || box_value(&box, VSOCK) != f->vsock ||
                    box_value(&box, CLEANUP) != f->vms ||
                    (f->failure && box_value(&box, f->failure) != f->vms))
                        fail_msg("%s: boots %g, vsock %g, cleanups %g", f->way,
                                 box_value(&box, BOOT), box_value(&box, VSOCK),
                                 box_value(&box, CLEANUP));
                assert_true((out.boot_ns > 0) == (f->boots > 0));
                assert_true(box_ended(&box) == 1);
                box_check_clean(&box);
                box_close(&box);
        }
}

static void a_panic_while_a_program_runs_is_counted(void **state)
{
        struct workload_outcome out;
        struct box box;

        box_open(&box, NULL, 0);
        setenv("FAKE_FC_FAIL", "panic-midrun", 1);
        out = box_run(&box, "print hello\n");
        assert_non_null(strstr(out.error, "Kernel panic - not syncing: told to panic"));
        assert_string_equal(box.out, "partial\n");
        assert_true(box_value(&box, "vulcan_firecracker_guest_panics_total") == 1);
        assert_true(box_value(&box, FAILURE("vmm", "guest_panic")) == 0);
        box_check_clean(&box);
        box_close(&box);
}

/* A guest can make its VMM log without end: the FIFO discards it, and the boot goes on. */
static void a_flooded_log_does_not_delay_the_boot(void **state)
{
        struct workload_outcome out;
        struct box box;

        box_open(&box, NULL, 0);
        setenv("FAKE_FC_FAIL", "log-flood", 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        box_check_clean(&box);
        box_close(&box);
}

static void a_second_attempt_may_succeed(void **state)
{
        struct workload_outcome out;
        char once[128];
        struct box box;

        box_open(&box, NULL, 0);
        snprintf(once, sizeof(once), "%s/once", box.dir);
        setenv("FAKE_FC_FAIL", "crash-before-hello", 1);
        setenv("FAKE_FC_ONCE", once, 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_string_equal(box.out, "hello\n");
        assert_true(box_value(&box, BOOT) == 1);
        assert_true(box_value(&box, CLEANUP) == 2); /* one per VM */
        assert_true(box_value(&box, FAILURE("vmm", "vmm_exit")) == 1);
        assert_true(box_value(&box, ENDED("completed")) == 1);
        assert_true(box_ended(&box) == 1);
        box_check_clean(&box);
        box_close(&box);
}

/* Both attempts share one deadline. */
static void a_hung_guest_is_killed_at_the_deadline(void **state)
{
        enum { TIMEOUT_MS = 1500, BOTH_MS = 2700 }; /* two deadlines would take 3,000 ms */
        struct workload_outcome out;
        uint64_t began, took_ms;
        char says[64];
        struct box box;

        snprintf(says, sizeof(says), "not ready within %u ms (2 attempts)", TIMEOUT_MS * slow());
        box_open(&box, NULL, TIMEOUT_MS * slow());
        setenv("FAKE_FC_FAIL", "hang", 1);
        began = clock_ns();
        out = box_run(&box, "");
        took_ms = (clock_ns() - began) / NS_PER_MS;
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_non_null(strstr(out.error, says));
        assert_true(took_ms >= TIMEOUT_MS * slow() && took_ms < BOTH_MS * slow());
        assert_true(box_value(&box, BOOT) == 0);
        assert_true(box_value(&box, CLEANUP) == 2);
        assert_true(box_value(&box, FAILURE("vmm", "timeout")) == 2);
        box_check_clean(&box);
        box_close(&box);
}

static void a_hang_leaves_time_for_a_second_attempt(void **state)
{
        struct workload_outcome out;
        char once[128];
        struct box box;

        box_open(&box, NULL, 3000 * slow());
        snprintf(once, sizeof(once), "%s/once", box.dir);
        setenv("FAKE_FC_FAIL", "hang", 1);
        setenv("FAKE_FC_ONCE", once, 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_true(box_value(&box, FAILURE("vmm", "timeout")) == 1);
        assert_true(box_value(&box, BOOT) == 1);
        /* The boot time is that of the second VM alone. */
        assert_true(out.boot_ns < 750 * slow() * NS_PER_MS);
        box_check_clean(&box);
        box_close(&box);
}

static void an_agent_that_never_reports_times_out(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;
        char says[64];

        box_open(&box, NULL, 0);
        ((struct fc_backend *)box.backend)->result_grace_ms = 1;
        setenv("FAKE_FC_FAIL", "late", 1);
        spec = box_spec(&box, "print hello\n");
        spec.limits.timeout_s = slow();
        task = box_task(&box, &spec);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_true(out.timed_out);
        snprintf(says, sizeof(says), "workload timed out after %u s", slow());
        assert_string_equal(out.error, says);
        assert_string_equal(box.out, "hello\n");
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_failure_has_its_message_and_leaves_nothing_behind),
                cmocka_unit_test(a_panic_while_a_program_runs_is_counted),
                cmocka_unit_test(a_flooded_log_does_not_delay_the_boot),
                cmocka_unit_test(a_second_attempt_may_succeed),
                cmocka_unit_test(a_hung_guest_is_killed_at_the_deadline),
                cmocka_unit_test(a_hang_leaves_time_for_a_second_attempt),
                cmocka_unit_test(an_agent_that_never_reports_times_out),
        };

        log_set_level(LOG_LEVEL_ERROR);
        return cmocka_run_group_tests_name("backend failures", tests, NULL, NULL);
}
