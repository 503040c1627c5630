/* SPDX-License-Identifier: Apache-2.0 */
/* The agent and its connection: HELLO, PING, wrong frames, a connection that is lost. */
#include "guest_session.h"

static void hello_precedes_output_and_result(void **state)
{
        struct wire_request q = SHELL("echo out; echo err >&2; exit 7");
        struct session s;

        session_run(&s, &q);
        assert_string_equal(s.hello.agent, VULCAN_VERSION);
        assert_true(strlen(s.hello.kernel) > 0);
        assert_int_equal(s.hello.connect_us, 7);
        assert_null(s.hello.error);
        session_expect_text(&s.texts[0], "out\n");
        session_expect_text(&s.texts[1], "err\n");
        assert_int_equal(s.result.exit_code, 7);
        assert_int_equal(s.result.signal, 0);
        assert_false(s.result.timed_out);
        assert_false(s.result.oom);
        assert_null(s.result.error);
        assert_true(s.result.wall_us > 0);
        assert_true(s.result.memory_peak > 0);
        assert_int_equal(s.result.dropped_bytes, 0);
        session_finish(&s);
}

static void ping_is_answered_before_during_and_after_a_program(void **state)
{
        struct wire_request q = SHELL("cat");
        struct session s;

        session_start(&s);
        session_send(&s, WIRE_PING, "a", 1);
        while (s.pong.len < 1)
                session_step(&s);
        q.has_stdin = true;
        session_send_request(&s, &q);
        session_send(&s, WIRE_PING, NULL, 0);
        session_send(&s, WIRE_PING,
                     "0123456789012345678901234567890123456789012345678901234567890123", 64);
        while (s.pong.len < 65)
                session_step(&s);
        session_send(&s, WIRE_STDIN, NULL, 0);
        session_await_result(&s);
        session_send(&s, WIRE_PING, "z", 1);
        while (s.pong.len < 66)
                session_step(&s);
        assert_int_equal(s.pong.data[65], 'z');
        session_finish(&s);
}

static void frames_after_the_result_are_ignored(void **state)
{
        struct wire_request q = SHELL("exit 0");
        struct session s;

        q.has_stdin = true;
        session_run(&s, &q);
        session_send(&s, WIRE_STDIN, "late", 4);
        session_send(&s, WIRE_STDIN, NULL, 0);
        session_send(&s, WIRE_PING, "p", 1);
        while (s.pong.len == 0)
                session_step(&s);
        session_finish(&s);
}

static void expect_closed(const void *bytes, size_t n)
{
        struct session s;

        session_start(&s);
        assert_int_equal(buf_add(&s.out, bytes, n), 0);
        assert_int_equal(session_await_end(&s), EPROTO);
        assert_false(s.has_result);
        session_release(&s);
}

static void malformed_and_misplaced_frames_close_the_connection(void **state)
{
        expect_closed("\0\0\0\1\0x", 6);
        expect_closed("\377\0\0\0\3", 5);
        expect_closed("\0\0\0\2\2{}", 7);
        expect_closed("\0\0\0\1\3x", 6);
        expect_closed("\0\0\0\1\4x", 6);
        expect_closed("\0\0\0\2\1{}", 7);
        expect_closed("\0\0\0\1\5x", 6);
        expect_closed("\0\0\0\1\11x", 6);
}

static void more_code_than_announced_closes_the_connection(void **state)
{
        struct wire_request q = SHELL("sleep 1000");
        struct session s;

        q.file = "f";
        session_code(&q, "ab", 2);
        session_start(&s);
        session_send_request(&s, &q);
        session_send(&s, WIRE_CODE, "abc", 3);
        assert_int_equal(session_await_end(&s), EPROTO);
        session_release(&s);
}

static void a_second_request_closes_the_connection_and_kills_the_program(void **state)
{
        struct wire_request q = SHELL("echo $$; sleep 1000");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 2);
        session_send_request(&s, &q);
        assert_int_equal(session_await_end(&s), EPROTO);
        assert_true(session_is_gone(atoi(s.texts[0].data)));
        session_release(&s);
}

static void a_lost_connection_kills_the_program(void **state)
{
        struct wire_request q = SHELL("setsid sleep 1000 & a=$!; sleep 1000 & echo $$ $a $!; wait");
        struct session s;
        int pids[3];

        session_start(&s);
        session_send_request(&s, &q);
        while (!s.texts[0].len || !strchr(s.texts[0].data, '\n'))
                session_step(&s);
        assert_int_equal(sscanf(s.texts[0].data, "%d %d %d", &pids[0], &pids[1], &pids[2]), 3);
        assert_int_equal(session_close(&s), ECONNRESET);
        for (int i = 0; i < 3; i++)
                assert_true(session_is_gone(pids[i]));
        session_release(&s);
}

static void a_lost_connection_is_noticed_while_output_is_backed_up(void **state)
{
        struct wire_request q = SHELL("cat /dev/zero");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 1);
        assert_int_equal(session_close(&s), ECONNRESET);
        session_release(&s);
}

static void a_lost_connection_is_noticed_while_stdin_is_backed_up(void **state)
{
        struct wire_request q = SHELL("echo ready; sleep 1000");
        static char bytes[4 << 20];
        struct session s;

        q.has_stdin = true;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_STDIN, bytes, sizeof(bytes));
        session_await_output(&s, 6);
        assert_int_equal(session_close(&s), ECONNRESET);
        session_release(&s);
}

static void a_boot_error_is_reported_and_nothing_runs(void **state)
{
        struct wire_request q = SHELL("echo ran");
        struct session s;

        session_start_with(&s, "mount /dev/vda: not a squashfs image, or a corrupt one");
        while (!s.has_hello)
                session_step(&s);
        assert_string_equal(s.hello.error,
                            "mount /dev/vda: not a squashfs image, or a corrupt one");
        session_send_request(&s, &q);
        assert_int_equal(session_await_end(&s), EPROTO);
        assert_int_equal(s.texts[0].len, 0);
        session_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hello_precedes_output_and_result),
                cmocka_unit_test(ping_is_answered_before_during_and_after_a_program),
                cmocka_unit_test(frames_after_the_result_are_ignored),
                cmocka_unit_test(malformed_and_misplaced_frames_close_the_connection),
                cmocka_unit_test(more_code_than_announced_closes_the_connection),
                cmocka_unit_test(a_second_request_closes_the_connection_and_kills_the_program),
                cmocka_unit_test(a_lost_connection_kills_the_program),
                cmocka_unit_test(a_lost_connection_is_noticed_while_output_is_backed_up),
                cmocka_unit_test(a_lost_connection_is_noticed_while_stdin_is_backed_up),
                cmocka_unit_test(a_boot_error_is_reported_and_nothing_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
