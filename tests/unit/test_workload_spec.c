/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/streams.h"
#include "workload/workload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void statuses_have_one_name_each(void **state)
{
        for (int i = 0; i < WORKLOAD_STATUS_COUNT; i++) {
                enum workload_status back;

                assert_int_equal(workload_status_parse(workload_status_name(i), &back), 0);
                assert_int_equal(back, i);
        }
        assert_int_equal(workload_status_parse("ended", &(enum workload_status){0}), -EINVAL);
}

static void a_final_status_has_no_successor(void **state)
{
        for (int from = 0; from < WORKLOAD_STATUS_COUNT; from++) {
                bool moves = false;

                for (int to = 0; to < WORKLOAD_STATUS_COUNT; to++)
                        moves |= workload_may_move(from, to);
                assert_int_equal(moves, !workload_status_is_end(from));
                assert_false(workload_may_move(from, WORKLOAD_PENDING));
        }
        assert_true(workload_may_move(WORKLOAD_PENDING, WORKLOAD_RUNNING));
        assert_false(workload_may_move(WORKLOAD_PENDING, WORKLOAD_COMPLETED));
        assert_true(workload_may_move(WORKLOAD_RUNNING, WORKLOAD_COMPLETED));
}

static void an_invalid_spec_is_rejected_with_the_name_of_the_field(void **state)
{
        static const struct {
                const char *says;
                const char *runtime, *code, *entrypoint;
                bool archive;
                struct workload_limits limits;
        } bad[] = {
                {"runtime: missing", "", "x", NULL, false, {0}},
                {"code_archive: not a gzip", "sh", "", NULL, true, {0}},
                {"code_archive: not a gzip", "sh", "this is not compressed", NULL, true, {0}},
                {"entrypoint:", "sh", "x", "../etc/passwd", false, {0}},
                {"entrypoint:", "sh", "x", "/abs", false, {0}},
                {"entrypoint:", "sh", "x", "a/..", false, {0}},
                {"cpus: 33", "sh", "x", NULL, false, {.cpus = 33}},
                {"mem_mb: 1 ", "sh", "x", NULL, false, {.mem_mb = 1}},
                {"timeout_s: 86401", "sh", "x", NULL, false, {.timeout_s = 86401}},
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct workload_spec spec = WORKLOAD_SPEC_INIT;
                struct err err = ERR_INIT;

                strcpy(spec.runtime, bad[i].runtime);
                spec.code = strdup(bad[i].code);
                spec.code_size = strlen(bad[i].code);
                spec.entrypoint = bad[i].entrypoint ? strdup(bad[i].entrypoint) : NULL;
                spec.archive = bad[i].archive;
                spec.limits = bad[i].limits;
                assert_int_equal(workload_spec_check(&spec, &err), -EINVAL);
                assert_non_null(strstr(err.msg, bad[i].says));
                workload_spec_release(&spec);
        }
}

static void a_valid_spec_is_accepted(void **state)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;

        strcpy(spec.runtime, "sh");
        spec.code = strdup("exit 0");
        spec.code_size = 6;
        spec.entrypoint = strdup("dir/..file/x..y");
        assert_int_equal(workload_spec_add_arg(&spec, "", NULL), 0);
        assert_int_equal(workload_spec_add_env(&spec, "A=b=c", NULL), 0);
        assert_int_equal(workload_spec_check(&spec, NULL), 0);
        workload_spec_release(&spec);
        assert_null(spec.code);
}

static void an_empty_program_is_valid(void **state)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct err err = ERR_INIT;

        strcpy(spec.runtime, "sh");
        assert_int_equal(workload_spec_check(&spec, &err), -EINVAL);
        assert_string_equal(err.msg, "code: missing");
        spec.code = strdup("");
        assert_int_equal(workload_spec_check(&spec, &err), 0);
        workload_spec_release(&spec);
}

/* The runs return each stream of a random output and are no longer than it. */
static void streams_are_separated(void **state)
{
        struct buf output = BUF_INIT(100000), runs = BUF_INIT(100016);
        struct buf want[2] = {BUF_INIT(100000), BUF_INIT(100000)};
        uint32_t x = 1;

        for (int i = 0; i < 2000; i++) {
                char bytes[200];
                bool error;
                size_t n;

                x = x * 1664525 + 1013904223;
                error = x >> 31;
                n = x >> 16 & (i % 3 == 0 ? 127 : 1);
                memset(bytes, (int)(x >> 24), sizeof(bytes));
                assert_int_equal(streams_add(&runs, error ? WORKLOAD_STDERR : WORKLOAD_STDOUT, n),
                                 0);
                assert_int_equal(buf_add(&output, bytes, n), 0);
                assert_int_equal(buf_add(&want[error], bytes, n), 0);
        }
        assert_true(runs.len <= output.len);
        for (int i = 0; i < 2; i++) {
                struct buf got = BUF_INIT(100000);

                assert_int_equal(
                        streams_take(&runs, &output, i ? WORKLOAD_STDERR : WORKLOAD_STDOUT, &got),
                        0);
                assert_int_equal(got.len, want[i].len);
                assert_memory_equal(got.data, want[i].data, got.len);
                buf_release(&got);
                buf_release(&want[i]);
        }
        /* Runs that exceed the output, as in a damaged record, are not followed. */
        output.len--;
        assert_int_equal(streams_take(&runs, &output, WORKLOAD_STDOUT, &want[0]), -ENODATA);
        runs.len = 1;
        runs.data[0] = (char)0x80;
        assert_int_equal(streams_take(&runs, &output, WORKLOAD_STDOUT, &want[0]), -ENODATA);
        runs.len = 0;
        assert_int_equal(streams_take(&runs, &output, WORKLOAD_STDOUT, &want[0]), -ENODATA);
        buf_release(&want[0]);
        buf_release(&runs);
        buf_release(&output);
}

static void arguments_and_environment_are_bounded(void **state)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct err err = ERR_INIT;
        char *huge = malloc(WORKLOAD_WORD_MAX + 1);

        memset(huge, 'x', WORKLOAD_WORD_MAX);
        huge[WORKLOAD_WORD_MAX] = '\0';
        assert_int_equal(workload_spec_add_arg(&spec, huge, &err), -EINVAL);
        free(huge);
        assert_int_equal(workload_spec_add_env(&spec, "novalue", &err), -EINVAL);
        assert_int_equal(workload_spec_add_env(&spec, "=v", &err), -EINVAL);
        for (int i = 0; i < WORKLOAD_ARGS_MAX; i++)
                assert_int_equal(workload_spec_add_arg(&spec, "a", &err), 0);
        assert_int_equal(workload_spec_add_arg(&spec, "a", &err), -EINVAL);
        assert_int_equal(spec.n_args, WORKLOAD_ARGS_MAX);
        assert_null(spec.args[spec.n_args]);
        workload_spec_release(&spec);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(statuses_have_one_name_each),
                cmocka_unit_test(a_final_status_has_no_successor),
                cmocka_unit_test(an_invalid_spec_is_rejected_with_the_name_of_the_field),
                cmocka_unit_test(a_valid_spec_is_accepted),
                cmocka_unit_test(an_empty_program_is_valid),
                cmocka_unit_test(streams_are_separated),
                cmocka_unit_test(arguments_and_environment_are_bounded),
        };

        return cmocka_run_group_tests_name("workload spec", tests, NULL, NULL);
}
