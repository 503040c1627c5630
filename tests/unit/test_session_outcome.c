/* SPDX-License-Identifier: Apache-2.0 */
/* The status and the error message of each way in which a workload can end. */
#include "session/outcome.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct workload_spec spec = {.limits = {.timeout_s = 7, .mem_mb = 128}};

/* A session that ended in a given way. */
static struct session ended(struct wire_result result, bool has_result)
{
        struct session s = {.task = {.spec = &spec}, .has_result = has_result, .result = result};

        return s;
}

static struct workload_outcome decide(const struct session *s, int r, const char *error,
                                      bool killed)
{
        struct workload_outcome o = {.exit_code = -1};
        struct err err = ERR_INIT;

        if (r < 0)
                err_set(&err, -r, "%s", error);
        session_decide(s, r, &err, killed, &o);
        return o;
}

static void a_result_is_taken_as_reported(void **state)
{
        static const struct {
                struct wire_result result;
                enum workload_status status;
                const char *error;
                bool timed_out, oom;
        } rows[] = {
                {{.exit_code = 3}, WORKLOAD_COMPLETED, "", false, false},
                {{.exit_code = -1, .signal = 9}, WORKLOAD_COMPLETED, "", false, false},
                {{.error = "no such program"}, WORKLOAD_FAILED, "no such program", false, false},
                {{.timed_out = true}, WORKLOAD_FAILED, "workload timed out after 7 s", true, false},
                {{.oom = true, .signal = 9},
                 WORKLOAD_FAILED,
                 "the guest ran out of memory (128 MiB); allow it more",
                 false,
                 true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct session s = ended(rows[i].result, true);
                struct workload_outcome o = decide(&s, 0, NULL, false);

                assert_int_equal(o.status, rows[i].status);
                assert_string_equal(o.error, rows[i].error);
                assert_int_equal(o.timed_out, rows[i].timed_out);
                assert_int_equal(o.oom, rows[i].oom);
        }
}

static void an_error_without_a_result_fails_the_workload(void **state)
{
        struct session s = ended((struct wire_result){0}, false);
        struct workload_outcome o = decide(&s, -ECONNRESET, "the guest agent was lost", false);

        assert_int_equal(o.status, WORKLOAD_FAILED);
        assert_string_equal(o.error, "the guest agent was lost");
}

static void an_overdue_result_is_a_timeout(void **state)
{
        struct session s = ended((struct wire_result){0}, false);
        struct workload_outcome o;

        s.overdue = true;
        o = decide(&s, -ETIMEDOUT, "overdue", false);
        assert_int_equal(o.status, WORKLOAD_FAILED);
        assert_true(o.timed_out);
        assert_string_equal(o.error, "workload timed out after 7 s");
}

static void refused_output_ends_as_killed(void **state)
{
        struct session s = ended((struct wire_result){0}, false);
        struct workload_outcome o;

        s.output_refused = true;
        o = decide(&s, -EPIPE, "output: Broken pipe", false);
        assert_int_equal(o.status, WORKLOAD_KILLED);
        assert_string_equal(o.error, "killed: nobody reads its output");
}

static void a_kill_wins_over_every_error(void **state)
{
        struct session s = ended((struct wire_result){0}, false);
        struct workload_outcome o = decide(&s, -ECANCELED, "killed", true);

        assert_int_equal(o.status, WORKLOAD_KILLED);
        assert_string_equal(o.error, "killed");
        s.overdue = true;
        o = decide(&s, -ETIMEDOUT, "overdue", true);
        assert_int_equal(o.status, WORKLOAD_KILLED);
        assert_false(o.timed_out);
}

static void a_kill_wins_until_the_workload_is_gone(void **state)
{
        struct session s = ended((struct wire_result){.timed_out = true}, true);
        struct workload_outcome o = decide(&s, 0, NULL, false);

        session_decide(&s, 0, NULL, false, &o);
        assert_int_equal(o.status, WORKLOAD_FAILED);
        session_decide(&s, 0, NULL, true, &o);
        assert_int_equal(o.status, WORKLOAD_KILLED);
        assert_string_equal(o.error, "killed while it was taken down");
        assert_false(o.timed_out);
        o = decide(&s, -ECANCELED, "killed", true);
        session_decide(&s, -ECANCELED, NULL, true, &o);
        assert_string_equal(o.error, "killed"); /* the first reason stays */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_result_is_taken_as_reported),
                cmocka_unit_test(an_error_without_a_result_fails_the_workload),
                cmocka_unit_test(an_overdue_result_is_a_timeout),
                cmocka_unit_test(refused_output_ends_as_killed),
                cmocka_unit_test(a_kill_wins_over_every_error),
                cmocka_unit_test(a_kill_wins_until_the_workload_is_gone),
        };

        return cmocka_run_group_tests_name("session outcome", tests, NULL, NULL);
}
