/* SPDX-License-Identifier: Apache-2.0 */
/* How programs end: exit, signal, time limit, and the processes that they leave. */
#include "guest_session.h"

#include "guest/job.h"

#include <fcntl.h>
#include <sys/stat.h>

static void a_signal_is_reported_in_place_of_an_exit_code(void **state)
{
        struct wire_request q = SHELL("kill -TERM $$");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, -1);
        assert_int_equal(s.result.signal, SIGTERM);
        session_finish(&s);
}

static void the_time_limit_kills_all_descendants(void **state)
{
        struct wire_request q = SHELL("trap '' TERM; sleep 1000 & echo $!; setsid sleep 1000 & "
                                      "echo $!; (setsid sh -c 'sleep 1000 & echo $!; wait' &) ; "
                                      "wait; wait; sleep 1000");
        int pids[3], n = 0;
        struct session s;

        q.timeout_ms = 300 * slow();
        session_run(&s, &q);
        assert_true(s.result.timed_out);
        assert_int_equal(s.result.signal, SIGKILL);
        assert_int_equal(s.result.exit_code, -1);
        assert_true(s.result.wall_us >= 300000 * slow());
        n = sscanf(s.texts[0].data, "%d %d %d", &pids[0], &pids[1], &pids[2]);
        assert_int_equal(n, 3);
        for (int i = 0; i < n; i++)
                assert_true(session_is_gone(pids[i]));
        session_finish(&s);
}

static const char *const floods[] = {
        "yes 0123456789012345678901234567890123456789",
        "while :; do printf x; done",
        "while :; do echo out; echo error >&2; done",
        "for i in 1 2 3 4 5 6 7 8; do (while :; do echo $i; echo $i >&2; done) & done; wait",
};

/*
 * The time limit does not depend on a host that reads. The end of the fifo shows that all processes
 * of the flood have ended before the host takes a byte. Then the result follows a bounded rest.
 */
static void the_time_limit_ends_a_flood_that_nobody_reads(void **state)
{
        enum { REST_MAX = 2 * PROGRAM_PIPE_SIZE + OUTBOX_SIZE + (1 << 20) };

        for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
                char script[512], path[128];
                struct pollfd fifo = {.events = POLLIN};
                struct wire_request q;
                struct session s;

                snprintf(script, sizeof(script), "exec 9>alive; echo; %s", floods[i]);
                q = SHELL(script);
                q.timeout_ms = 300;
                session_start(&s);
                snprintf(path, sizeof(path), "%s/alive", s.dir);
                assert_int_equal(mkfifo(path, 0600), 0);
                fifo.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                session_send_request(&s, &q);
                session_await_output(&s, 1); /* it has opened the fifo */
                assert_int_equal(poll(&fifo, 1, (int)session_wait_ms()), 1);
                assert_true(fifo.revents & POLLHUP);
                close(fifo.fd);
                session_await_result(&s);
                assert_true(s.result.timed_out);
                assert_true(s.result.wall_us >= 300000);
                assert_true(s.texts[0].len + s.texts[1].len < REST_MAX);
                session_finish(&s);
        }
}

/* Background processes would hold the program's streams open for ever, so they are killed. */
static void background_processes_end_with_the_program(void **state)
{
        struct wire_request q = SHELL("setsid sleep 1000 & echo $!; exit 3");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_true(session_is_gone(atoi(s.texts[0].data)));
        session_finish(&s);
}

static void more_background_processes_than_are_reaped_at_once_all_end(void **state)
{
        struct wire_request q = SHELL("i=0; while [ $i -lt 150 ]; do sleep 1000 & i=$((i+1)); done;"
                                      " echo $!; exit 3");
        struct session s;

        _Static_assert(150 > 2 * JOB_REAP_MAX, "takes several turns of the loop");
        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_true(session_is_gone(atoi(s.texts[0].data)));
        session_finish(&s);
}

static void a_program_that_closes_its_streams_is_waited_for(void **state)
{
        struct wire_request q = SHELL("echo ready; exec >&- 2>&- 0<&-; read x < fifo; exit 5");
        struct session s;
        char path[128];
        int fd;

        session_start(&s);
        snprintf(path, sizeof(path), "%s/fifo", s.dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        session_send_request(&s, &q);
        session_await_output(&s, 6);
        session_send(&s, WIRE_PING, "x", 1);
        while (s.pong.len == 0)
                session_step(&s);
        assert_false(s.has_result);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        close(fd);
        session_await_result(&s);
        assert_int_equal(s.result.exit_code, 5);
        session_finish(&s);
}

static void sigterm_ends_the_program_before_the_agent(void **state)
{
        struct wire_request q = SHELL("echo $$; sleep 1000");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 2);
        kill(s.agent, SIGTERM);
        assert_int_equal(session_await_end(&s), EINTR);
        assert_true(session_is_gone(atoi(s.texts[0].data)));
        session_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_signal_is_reported_in_place_of_an_exit_code),
                cmocka_unit_test(the_time_limit_kills_all_descendants),
                cmocka_unit_test(the_time_limit_ends_a_flood_that_nobody_reads),
                cmocka_unit_test(background_processes_end_with_the_program),
                cmocka_unit_test(more_background_processes_than_are_reaped_at_once_all_end),
                cmocka_unit_test(a_program_that_closes_its_streams_is_waited_for),
                cmocka_unit_test(sigterm_ends_the_program_before_the_agent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
