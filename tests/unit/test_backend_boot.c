/* SPDX-License-Identifier: Apache-2.0 */
/* Failed boots: the reason of each exit, the retry rule, and the excerpts in error messages. */
#include "backend/firecracker/boot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SIGNALLED = -1 };

static const struct row {
        struct fc_vmm_exit end; /* ended, exit code, panicked, triple fault */
        enum fc_reason reason;
        bool retry;
} table[] = {
        {{false, -1, false, false}, FC_REASON_TIMEOUT, true},
        {{false, -1, true, false}, FC_REASON_GUEST_PANIC, true},
        {{true, 0, false, false}, FC_REASON_GUEST_REBOOT, true},
        {{true, 0, true, false}, FC_REASON_GUEST_PANIC, true},
        {{true, 1, false, false}, FC_REASON_VMM_EXIT, false},
        {{true, 1, true, false}, FC_REASON_GUEST_PANIC, true},
        {{true, 1, false, true}, FC_REASON_GUEST_REBOOT, true},
        {{true, 1, true, true}, FC_REASON_GUEST_PANIC, true},
        {{true, 2, false, false}, FC_REASON_VMM_EXIT, true},
        {{true, 148, false, false}, FC_REASON_VMM_EXIT, true},
        {{true, 149, false, false}, FC_REASON_VMM_EXIT, true},
        {{true, 150, false, false}, FC_REASON_VMM_EXIT, true},
        {{true, 152, false, false}, FC_REASON_VMM_EXIT, false},
        {{true, 153, false, false}, FC_REASON_VMM_EXIT, false},
        {{true, SIGNALLED, false, false}, FC_REASON_VMM_EXIT, true},
        /* The console never explains a VMM that crashed. */
        {{true, 150, true, true}, FC_REASON_VMM_EXIT, true},
        {{true, 153, true, true}, FC_REASON_VMM_EXIT, false},
        {{true, SIGNALLED, true, true}, FC_REASON_VMM_EXIT, true},
};

static void each_exit_has_a_reason_and_a_retry_rule(void **state)
{
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                const struct row *row = &table[i];
                enum fc_reason reason = fc_boot_reason(&row->end);

                if (reason != row->reason ||
                    fc_boot_may_retry(reason, row->end.exit_code) != row->retry)
                        fail_msg("row %zu: reason %d", i, reason);
        }
        assert_false(fc_boot_may_retry(FC_REASON_ERROR, -1));
        assert_false(fc_boot_may_retry(FC_REASON_PROTOCOL, -1));
        assert_false(fc_boot_may_retry(FC_REASON_GUEST, -1));
}

static struct fc_tail tail_of(const char *text)
{
        struct fc_tail t = {.len = 0};

        fc_tail_add(&t, text, strlen(text));
        return t;
}

static const struct {
        const char *console, *panic; /* NULL: none */
} panics[] = {
        {"", NULL},
        {"Kernel pan", NULL},
        {"[    0.1] Kernel panic - not syncing: x\n", "Kernel panic - not syncing: x"},
        {"Kernel panic - not syncing: no end", "Kernel panic - not syncing: no end"},
        {"[    0.9] VFS: Cannot open root device\r\n[    1.0] Please append\r\n"
         "[    1.1][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
         "[    1.2] CPU: 0\r\n[    1.3] ---[ end Kernel panic - not syncing: VFS: Unable ]---\r\n",
         "VFS: Cannot open root device | Kernel panic - not syncing: VFS: Unable to mount root fs"},
        {"[    2.0] nothing of note\n[    2.1] Kernel panic - not syncing: y\n",
         "nothing of note | Kernel panic - not syncing: y"},
        {"[    3.0] ---[ end Kernel panic - not syncing: only the end is left ]---\n",
         "Kernel panic - not syncing: only the end is left"},
        {"\x1b[31m\xff\nKernel panic - not syncing: \x07z\n",
         "?[31m? | Kernel panic - not syncing: ?z"},
};

static void a_panic_is_found_with_its_cause(void **state)
{
        for (size_t i = 0; i < sizeof(panics) / sizeof(panics[0]); i++) {
                struct fc_tail t = tail_of(panics[i].console);
                char text[240];

                assert_int_equal(fc_tail_panic(&t, text, sizeof(text)), panics[i].panic != NULL);
                assert_string_equal(text, panics[i].panic ? panics[i].panic : "");
        }
}

/* The trace pushes the panic out of the ring; the last line of the trace repeats it. */
static void a_long_trace_does_not_hide_a_panic(void **state)
{
        struct fc_tail t = tail_of("[    1.0] BUG: z\n[    1.0] Kernel panic - not syncing: big\n");
        char line[64], text[240];

        for (int i = 0; i < 1000; i++)
                fc_tail_add(&t, line, (size_t)snprintf(line, sizeof(line), "[ 1.1]  ? f+%d\n", i));
        assert_false(fc_tail_panic(&t, text, sizeof(text)));
        fc_tail_add(&t, "---[ end Kernel panic - not syncing: big ]---\n", 46);
        assert_true(fc_tail_panic(&t, text, sizeof(text)));
        assert_string_equal(text, "Kernel panic - not syncing: big");
}

static void a_cause_is_cut_before_its_panic(void **state)
{
        struct fc_tail t = tail_of("BUG: a cause that is far too long for this\n"
                                   "Kernel panic - not syncing: fatal\n");
        char text[64];

        assert_true(fc_tail_panic(&t, text, sizeof(text)));
        assert_string_equal(text,
                            "BUG: a cause that is far... | Kernel panic - not syncing: fatal");
        assert_true(fc_tail_panic(&t, text, 8));
        assert_string_equal(text, "Kernel ");
}

#define STAMP "2026-08-21T12:08:08.123456789 [01ARZ3NDEKTSV4RRFFQ69G5FAV:main] "

static const struct {
        const char *log, *reason;
} reasons[] = {
        {"", ""},
        {STAMP "RunWithoutApiError error: no vmlinux\nError: RunWithoutApiError(x)\n" STAMP
               "Firecracker exiting with error. exit_code=1\n",
         "RunWithoutApiError error: no vmlinux"},
        {STAMP "Arguments parsing error: bad \n\nFor more information try --help.\nError: P(x)\n",
         "Arguments parsing error: bad"},
        {"Error: Alone(x)\n", "Error: Alone(x)"},
        {STAMP "vulcan-vmm exiting with error: no QEMU. exit_code=1\nvulcan-vmm: no QEMU\n",
         "vulcan-vmm: no QEMU"},
        {"\n\n", ""},
        {"2026-08-21T12:08:08.1 no bracket", "2026-08-21T12:08:08.1 no bracket"},
        {"\nAlone\n", "Alone"},
        {"\n" STAMP "IO read @ 0x70\nnot named\n", "not named"},
        /* Copied from Firecracker 1.17: a message of two lines. */
        {STAMP "RunWithApiError error: Failed to build MicroVM from Json: Could not Start MicroVM "
               "from one single json: Kvm error: Error creating KVM object: No such file or "
               "directory (os error 2) Make sure the user launching the firecracker process is \\\n"
               "configured on the /dev/kvm file's ACL.\n"
               "Error: RunWithApi(BuildFromJson(StartMicroVM(Kvm(Kvm(Error(2))))))\n" STAMP
               "Firecracker exiting with error. exit_code=1\n",
         "... No such file or directory (os error 2) Make sure the user launching the firecracker "
         "process is configured on the /dev/kvm file's ACL."},
        /* The most specific part comes last. */
        {STAMP
         "RunWithApiError error: Failed to build MicroVM from Json: Could not Start MicroVM "
         "from one single json: System configuration error: Cannot load kernel due to invalid "
         "memory configuration or invalid kernel image: Kernel Loader: failed to load bzImage "
         "kernel image: Kernel Loader: Invalid bzImage\n"
         "Error: RunWithApi(BuildFromJson(StartMicroVM(KernelLoader(InvalidBzImage))))\n" STAMP
         "Firecracker exiting with error. exit_code=1\n",
         "... Kernel Loader: failed to load bzImage kernel image: Kernel Loader: Invalid bzImage"},
        /* A guest that restarts by a triple fault. */
        {STAMP "vcpu: IO read @ 0xcfc:0x4 failed: Failed to find address range.\n" STAMP
               "Unexpected exit reason on vcpu run: Shutdown\n" STAMP
               "RunWithApiError error: MicroVM stopped with an error: GenericError\n"
               "Error: RunWithApi(MicroVMStoppedWithError(GenericError))\n" STAMP
               "Firecracker exiting with error. exit_code=1\n",
         "Unexpected exit reason on vcpu run: Shutdown"},
        /* Messages that every guest causes. */
        {STAMP
         "Running Firecracker v1.17.0-dev\n" STAMP
         "Successfully started microvm that was configured from one single json\n" STAMP
         "Received a VcpuEvent::Resume message with immediate_exit enabled. immediate_exit was "
         "disabled before proceeding\n" STAMP
         "vcpu: IO write @ 0xcf8:0x4 failed: Failed to find address range.\n" STAMP
         "Requested a vCPU run with immediate_exit enabled. The operation was skipped\n",
         ""},
};

/* A single part that is too long is cut at its end; nothing is written past a small buffer. */
static void a_reason_is_cut_to_its_buffer(void **state)
{
        struct fc_tail t = tail_of(STAMP "Seccomp error: a part that is far too long\n");
        char text[24];

        fc_tail_reason(&t, text, sizeof(text));
        assert_string_equal(text, "... a part that is f...");
        for (size_t size = 1; size < 8; size++) {
                memset(text, '#', sizeof(text));
                fc_tail_reason(&t, text, size);
                assert_true(strlen(text) < size);
                assert_int_equal(text[size], '#');
        }
}

static void a_log_gives_the_reason(void **state)
{
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
                struct fc_tail t = tail_of(reasons[i].log);
                char text[160];

                fc_tail_reason(&t, text, sizeof(text));
                assert_string_equal(text, reasons[i].reason);
        }
}

static void the_last_lines_are_joined(void **state)
{
        struct fc_tail t = tail_of("one\r\n\r\ntwo\x01\n");
        char text[32];

        fc_tail_lines(&t, text, sizeof(text));
        assert_string_equal(text, "one | two?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_exit_has_a_reason_and_a_retry_rule),
                cmocka_unit_test(a_panic_is_found_with_its_cause),
                cmocka_unit_test(a_long_trace_does_not_hide_a_panic),
                cmocka_unit_test(a_cause_is_cut_before_its_panic),
                cmocka_unit_test(a_log_gives_the_reason),
                cmocka_unit_test(a_reason_is_cut_to_its_buffer),
                cmocka_unit_test(the_last_lines_are_joined),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
