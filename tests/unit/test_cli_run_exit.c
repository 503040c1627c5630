/* SPDX-License-Identifier: Apache-2.0 */
/* The exit code and message of `vulcan run`, and the metrics it prints. */
#include "cli/cli.h"
#include "cli/run_exit.h"
#include "cli/metrics_filter.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void an_outcome_gives_exit_code_and_message(void **state)
{
        static const struct {
                struct run_end end;
                int code;
                const char *want; /* NULL: no message */
        } cases[] = {
                {{.status = WORKLOAD_COMPLETED, .outcome.exit_code = 0}, 0, NULL},
                {{.status = WORKLOAD_COMPLETED, .outcome.exit_code = 125}, 125, NULL},
                {{.status = WORKLOAD_COMPLETED, .outcome = {.exit_code = -1, .signal = SIGSEGV}},
                 139,
                 NULL},
                {{.status = WORKLOAD_COMPLETED, .outcome = {.exit_code = 3, .dropped_bytes = 17}},
                 3,
                 "17 bytes"},
                {{.status = WORKLOAD_FAILED,
                  .timeout_s = 3,
                  .outcome = {.exit_code = -1, .signal = SIGKILL, .timed_out = true}},
                 124,
                 "workload timed out after 3 s"},
                {{.status = WORKLOAD_FAILED, .outcome = {.oom = true, .error = "out of memory"}},
                 137,
                 "out of memory"},
                {{.status = WORKLOAD_FAILED, .outcome = {.error = "no kernel"}}, 125, "no kernel"},
                {{.status = WORKLOAD_FAILED}, 125, "failed"},
                {{.status = WORKLOAD_KILLED, .caught = SIGINT}, 130, NULL},
                {{.status = WORKLOAD_KILLED, .caught = SIGTERM}, 143, NULL},
                {{.status = WORKLOAD_KILLED, .caught = SIGHUP}, 129, NULL},
                {{.status = WORKLOAD_KILLED, .write_error = EPIPE}, 141, NULL},
                {{.status = WORKLOAD_KILLED, .write_error = ENOSPC}, 125, "No space left"},
                {{.status = WORKLOAD_KILLED}, 137, "killed"},
                /* The program ended before the signal could kill it. */
                {{.status = WORKLOAD_COMPLETED, .caught = SIGINT, .outcome.exit_code = 4}, 4, NULL},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct err message = {.msg = "left over"};

                assert_int_equal(run_exit_code(&cases[i].end, &message), cases[i].code);
                if (cases[i].want)
                        assert_non_null(strstr(message.msg, cases[i].want));
                else
                        assert_string_equal(message.msg, "");
        }
}

static void the_filter_keeps_whole_families(void **state)
{
        static const char text[] = "# HELP process_threads Threads.\n"
                                   "process_threads 3\n"
                                   "# HELP vulcan_firecracker_vm_boot_seconds Boot.\n"
                                   "# TYPE vulcan_firecracker_vm_boot_seconds histogram\n"
                                   "vulcan_firecracker_vm_boot_seconds_bucket{le=\"+Inf\"} 1\n"
                                   "vulcan_firecracker_vm_boot_seconds_sum 0.5\n"
                                   "vulcan_firecracker_vm_boot_seconds_stage 7\n"
                                   "# HELP other vulcan_firecracker_active_vms\n"
                                   "other{x=\"vulcan_\"} 1\n"
                                   "vulcan_firecracker_active_vms 0";
        struct buf picked = BUF_INIT(1024);

        assert_int_equal(metrics_filter(text, sizeof(text) - 1, false, &picked), 0);
        assert_string_equal(picked.data,
                            "# HELP vulcan_firecracker_vm_boot_seconds Boot.\n"
                            "# TYPE vulcan_firecracker_vm_boot_seconds histogram\n"
                            "vulcan_firecracker_vm_boot_seconds_bucket{le=\"+Inf\"} 1\n"
                            "vulcan_firecracker_vm_boot_seconds_sum 0.5\n"
                            "vulcan_firecracker_active_vms 0");
        buf_release(&picked);
        picked = BUF_INIT(1024);
        assert_int_equal(metrics_filter(text, sizeof(text) - 1, true, &picked), 0);
        assert_non_null(strstr(picked.data, "vulcan_firecracker_vm_boot_seconds_stage 7\n"));
        assert_null(strstr(picked.data, "other"));
        assert_null(strstr(picked.data, "process"));
        buf_release(&picked);
        picked = BUF_INIT(8);
        assert_int_equal(metrics_filter(text, sizeof(text) - 1, false, &picked), -ENOBUFS);
        buf_release(&picked);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_outcome_gives_exit_code_and_message),
                cmocka_unit_test(the_filter_keeps_whole_families),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
