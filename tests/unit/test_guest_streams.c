/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input and output of programs on their way between host and guest. */
#include "guest_session.h"

#include "guest/pace.h"

#include <fcntl.h>
#include <sys/stat.h>

static void fill_pattern(char *bytes, size_t n)
{
        uint32_t x = 12345;

        for (size_t i = 0; i < n; i++) {
                x = x * 1664525 + 1013904223;
                bytes[i] = (char)(x >> 24);
        }
}

/* More than all buffers on the way: pipes, outbox, feed and socket fill up. */
static void megabytes_pass_through_stdin_and_both_streams(void **state)
{
        const size_t n = 5 << 20;
        struct wire_request q = SHELL("tee /dev/stderr");
        char *bytes = malloc(n);
        struct session s;

        assert_non_null(bytes);
        fill_pattern(bytes, n);
        q.has_stdin = true;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_STDIN, bytes, n);
        session_send(&s, WIRE_STDIN, NULL, 0);
        session_await_result(&s);
        assert_int_equal(s.result.exit_code, 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(s.texts[i].len, n);
                assert_memory_equal(s.texts[i].data, bytes, n);
        }
        free(bytes);
        session_finish(&s);
}

/* All buffers together hold less than the program writes, so a host that does not read stops it. */
static void a_slow_host_stops_the_program_and_loses_nothing(void **state)
{
        struct wire_request q = SHELL("head -c 6000000 /dev/zero; touch done");
        struct session s;
        char path[128];

        session_start(&s);
        snprintf(path, sizeof(path), "%s/done", s.dir);
        session_send_request(&s, &q);
        session_await_output(&s, 1000000);
        assert_int_equal(access(path, F_OK), -1);
        session_await_result(&s);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(s.texts[0].len, 6000000);
        session_finish(&s);
}

static void output_max_is_exact_and_the_rest_is_counted(void **state)
{
        struct wire_request q = SHELL("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2");
        struct session s;

        q.output_max = 100001;
        session_run(&s, &q);
        assert_int_equal(s.texts[0].len + s.texts[1].len, 100001);
        assert_int_equal(s.result.dropped_bytes, 600000 - 100001);
        assert_int_equal(s.result.exit_code, 0);
        session_finish(&s);
}

/* One frame per byte would make small writes slow. The limit is computed from the agent's clock. */
static void many_small_writes_make_few_frames(void **state)
{
        enum { WRITES = 30000 };
        struct wire_request q =
                SHELL("i=0; while [ $i -lt 30000 ]; do printf x; i=$((i+1)); done; exit 3");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_int_equal(s.texts[0].len, WRITES);
        /* The last pieces are sent without delay once the program has ended. */
        if (s.n_frames > PACE_BURST + 4 + s.result.wall_us / PACE_INTERVAL_US)
                fail_msg("%u frames in %llu us", s.n_frames, (unsigned long long)s.result.wall_us);
        session_finish(&s);
}

/* Output written before the program waits for input arrives, however fast it was written. */
static void output_before_a_pause_does_not_wait(void **state)
{
        struct wire_request q = SHELL("while read -r n; do i=0; while [ $i -lt 50 ]; do printf x; "
                                      "i=$((i+1)); done; printf y >&2; done");
        struct session s;

        q.has_stdin = true;
        session_start(&s);
        session_send_request(&s, &q);
        for (size_t turn = 1; turn <= 40; turn++) {
                session_send(&s, WIRE_STDIN, "go\n", 3);
                session_await_output(&s, 50 * turn);
                while (s.texts[1].len < turn)
                        session_step(&s);
                assert_int_equal(s.texts[0].len, 50 * turn);
        }
        session_send(&s, WIRE_STDIN, "", 0);
        session_await_result(&s);
        assert_int_equal(s.result.exit_code, 0);
        session_finish(&s);
}

static void alternating_streams_lose_nothing(void **state)
{
        struct wire_request q =
                SHELL("i=0; while [ $i -lt 3000 ]; do printf o; printf e >&2; i=$((i+1)); done");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.texts[0].len, 3000);
        assert_int_equal(s.texts[1].len, 3000);
        session_finish(&s);
}

static void without_stdin_the_program_reads_end_of_file(void **state)
{
        struct wire_request q = SHELL("cat; echo end");
        struct session s;

        session_run(&s, &q);
        session_expect_text(&s.texts[0], "end\n");
        session_finish(&s);
}

static void stdin_of_a_program_that_closed_it_is_dropped(void **state)
{
        struct wire_request q = SHELL("exec 0<&-; echo ready; read line < fifo; echo $line");
        static char bytes[3 << 20];
        struct session s;
        char path[128];
        int fd;

        q.has_stdin = true;
        session_start(&s);
        snprintf(path, sizeof(path), "%s/fifo", s.dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        session_send_request(&s, &q);
        session_await_output(&s, 6);
        session_send_all(&s, WIRE_STDIN, bytes, sizeof(bytes));
        session_send(&s, WIRE_PING, "p", 1);
        /* All of it is accepted although nobody reads it: the PING after it is answered. */
        while (s.pong.len == 0)
                session_step(&s);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, "go\n", 3), 3);
        close(fd);
        session_await_result(&s);
        session_expect_text(&s.texts[0], "ready\ngo\n");
        session_finish(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(megabytes_pass_through_stdin_and_both_streams),
                cmocka_unit_test(a_slow_host_stops_the_program_and_loses_nothing),
                cmocka_unit_test(output_max_is_exact_and_the_rest_is_counted),
                cmocka_unit_test(many_small_writes_make_few_frames),
                cmocka_unit_test(output_before_a_pause_does_not_wait),
                cmocka_unit_test(alternating_streams_lose_nothing),
                cmocka_unit_test(without_stdin_the_program_reads_end_of_file),
                cmocka_unit_test(stdin_of_a_program_that_closed_it_is_dropped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
