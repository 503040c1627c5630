/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a process: programs, their streams and their ends. */
#include "guest_session.h"

#include "guest/job.h"
#include "guest/pace.h"

#include <fcntl.h>
#include <sys/stat.h>

static void expect_text(const struct buf *b, const char *text)
{
        assert_int_equal(b->len, strlen(text));
        assert_string_equal(b->data ? b->data : "", text);
}

static bool is_gone(pid_t pid)
{
        return kill(pid, 0) < 0 && errno == ESRCH;
}

static void test_hello_then_output_then_exit_code(void **state)
{
        struct wire_request q = SHELL("echo out; echo err >&2; exit 7");
        struct session s;

        session_run(&s, &q);
        assert_string_equal(s.hello.agent, VULCAN_VERSION);
        assert_true(strlen(s.hello.kernel) > 0);
        assert_int_equal(s.hello.connect_us, 7);
        assert_null(s.hello.error);
        expect_text(&s.texts[0], "out\n");
        expect_text(&s.texts[1], "err\n");
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

static void test_signal(void **state)
{
        struct wire_request q = SHELL("kill -TERM $$");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, -1);
        assert_int_equal(s.result.signal, SIGTERM);
        session_finish(&s);
}

static void fill_pattern(char *bytes, size_t n)
{
        uint32_t x = 12345;

        for (size_t i = 0; i < n; i++) {
                x = x * 1664525 + 1013904223;
                bytes[i] = (char)(x >> 24);
        }
}

/* More than every buffer on the way holds: pipes, outbox, feed and socket all fill up. */
static void test_megabytes_through_stdin_and_both_streams(void **state)
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

/* A host that does not read stops the program, since all buffers together hold less than this. */
static void test_slow_host_stops_the_program_and_loses_nothing(void **state)
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

static void test_output_max_is_exact_and_counted(void **state)
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

/* A frame for each byte is what makes many small writes slow. The bound is the agent's own clock's. */
static void test_many_small_writes_make_few_frames(void **state)
{
        enum { WRITES = 30000 };
        struct wire_request q =
                SHELL("i=0; while [ $i -lt 30000 ]; do printf x; i=$((i+1)); done; exit 3");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_int_equal(s.texts[0].len, WRITES);
        /* The last ones are sent when the program has ended, without a wait. */
        if (s.n_frames > PACE_BURST + 4 + s.result.wall_us / PACE_INTERVAL_US)
                fail_msg("%u frames in %llu us", s.n_frames, (unsigned long long)s.result.wall_us);
        session_finish(&s);
}

/* What was written before the program waits for an answer arrives, however fast it came. */
static void test_output_before_a_pause_does_not_wait(void **state)
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

static void test_streams_in_turn_lose_nothing(void **state)
{
        struct wire_request q =
                SHELL("i=0; while [ $i -lt 3000 ]; do printf o; printf e >&2; i=$((i+1)); done");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.texts[0].len, 3000);
        assert_int_equal(s.texts[1].len, 3000);
        session_finish(&s);
}

static void test_no_stdin_is_end_of_file(void **state)
{
        struct wire_request q = SHELL("cat; echo end");
        struct session s;

        session_run(&s, &q);
        expect_text(&s.texts[0], "end\n");
        session_finish(&s);
}

static void test_stdin_of_a_program_that_does_not_read_is_dropped(void **state)
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
        /* All of it is taken, though nobody reads it: the PING behind it is answered. */
        while (s.pong.len == 0)
                session_step(&s);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, "go\n", 3), 3);
        close(fd);
        session_await_result(&s);
        expect_text(&s.texts[0], "ready\ngo\n");
        session_finish(&s);
}

static void test_arguments_environment_and_directory(void **state)
{
        static const char *const argv[] = {"sh",
                                           "-c",
                                           "for a; do printf '<%s>' \"$a\"; done; "
                                           "echo; echo $A$B; pwd; umask; echo $HOME",
                                           "sh",
                                           "one two",
                                           "",
                                           "*",
                                           "\xc3\xa4\n"};
        static const char *const env[] = {"A=x y", "B=", "PATH=/usr/bin:/bin"};
        struct wire_request q = session_request(argv, 8);
        char expected[256];
        struct session s;

        q.env = env;
        q.n_env = 3;
        session_run(&s, &q);
        snprintf(expected, sizeof(expected), "<one two><><*><\xc3\xa4\n>\nx y\n%s\n0022\n%s\n",
                 s.dir, s.dir);
        expect_text(&s.texts[0], expected);
        session_finish(&s);
}

static void test_default_environment(void **state)
{
        static const char *const argv[] = {"env"};
        struct wire_request q = session_request(argv, 1);
        struct session s;

        setenv("VULCAN_TEST_LEAK", "1", 1);
        session_run(&s, &q);
        assert_non_null(strstr(s.texts[0].data, "LANG=C.UTF-8\n"));
        assert_non_null(strstr(s.texts[0].data, "PATH=/usr/local/sbin:"));
        assert_non_null(strstr(s.texts[0].data, "HOME=/tmp/vulcan-test-"));
        assert_null(strstr(s.texts[0].data, "VULCAN_TEST_LEAK"));
        session_finish(&s);
}

/* Signals are as a program expects them, and nothing of the agent's is open. */
static void test_clean_process(void **state)
{
        struct wire_request q = SHELL(
                "grep -E '^(SigBlk|SigIgn|NoNewPrivs)' /proc/self/status; ulimit -c; ulimit -n; "
                "ls /proc/self/fd; ps -o pid= -o sid= -o pgid= -p $$ | { read p s g; "
                "test $p = $s -a $p = $g && echo leader; }");
        struct session s;

        session_run(&s, &q);
        expect_text(&s.texts[0], "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                 "NoNewPrivs:\t1\n0\n1024\n0\n1\n2\n3\nleader\n");
        session_finish(&s);
}

static void test_code_file_below_the_working_directory(void **state)
{
        static const char *const argv[] = {"sh", "src/a/main.sh"};
        struct wire_request q = session_request(argv, 2);
        struct session s;

        q.file = "./src//a/main.sh";
        session_code(&q, "echo code", 9);
        session_start(&s);
        session_send_request(&s, &q);
        session_send(&s, WIRE_CODE, "echo", 4);
        session_send(&s, WIRE_CODE, NULL, 0);
        session_send(&s, WIRE_CODE, " code", 5);
        session_await_result(&s);
        expect_text(&s.texts[0], "code\n");
        session_finish(&s);
}

static void expect_error(struct session *s, const char *message)
{
        session_await_result(s);
        assert_non_null(s->result.error);
        assert_string_equal(s->result.error, message);
        assert_int_equal(s->result.exit_code, -1);
        assert_int_equal(s->result.signal, 0);
        assert_int_equal(s->texts[0].len, 0);
}

static void test_code_file_outside_is_refused(void **state)
{
        static const char *const names[] = {"../x", "/tmp/x", "a/../../x", "."};
        struct wire_request q = SHELL("echo ran");
        char message[128];
        struct session s;

        for (size_t i = 0; i < 4; i++) {
                q.file = names[i];
                session_code(&q, "code", 4);
                session_start(&s);
                session_send_request(&s, &q);
                session_send(&s, WIRE_CODE, "code", 4);
                snprintf(message, sizeof(message), "code file \"%s\" leaves the working directory",
                         names[i]);
                expect_error(&s, message);
                session_finish(&s);
        }
}

static void test_code_file_through_a_link_is_refused(void **state)
{
        struct wire_request q = SHELL("echo ran");
        struct session s;
        char path[128];

        q.file = "link/x";
        session_code(&q, "code", 4);
        session_start(&s);
        snprintf(path, sizeof(path), "%s/link", s.dir);
        assert_int_equal(symlink("/tmp", path), 0);
        session_send_request(&s, &q);
        expect_error(&s, "code file: directory \"link\": Too many levels of symbolic links");
        session_finish(&s);
}

static void test_program_that_cannot_be_run(void **state)
{
        static const struct {
                const char *name, *message;
        } cases[] = {
                {"no-such-program", "cannot run \"no-such-program\": No such file or directory"},
                {"./missing", "cannot run \"./missing\": No such file or directory"},
                {"/tmp", "cannot run \"/tmp\": Permission denied"},
                {"./data", "cannot run \"./data\": Exec format error"},
        };
        struct session s;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct wire_request q = session_request(&cases[i].name, 1);

                q.file = "data";
                session_code(&q, "\0\1\2\3", 4);
                session_start(&s);
                session_send_request(&s, &q);
                session_send(&s, WIRE_CODE, "\0\1\2\3", 4);
                expect_error(&s, cases[i].message);
                session_finish(&s);
        }
}

static void test_time_limit_kills_all_descendants(void **state)
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
                assert_true(is_gone(pids[i]));
        session_finish(&s);
}

/* What the program leaves behind would hold its streams open for ever; it is killed instead. */
static const char *const floods[] = {
        "yes 0123456789012345678901234567890123456789",
        "while :; do printf x; done",
        "while :; do echo out; echo error >&2; done",
        "for i in 1 2 3 4 5 6 7 8; do (while :; do echo $i; echo $i >&2; done) & done; wait",
};

/*
 * The time limit needs no host that reads: all that floods is gone, which the end of its fifo tells,
 * before a byte is taken. Then the result comes after a bounded rest.
 */
static void test_time_limit_ends_a_flood_that_nobody_reads(void **state)
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

static void test_leftovers_do_not_outlive_the_program(void **state)
{
        struct wire_request q = SHELL("setsid sleep 1000 & echo $!; exit 3");
        struct session s;

        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_true(is_gone(atoi(s.texts[0].data)));
        session_finish(&s);
}

static void test_more_leftovers_than_are_reaped_at_once(void **state)
{
        struct wire_request q = SHELL("i=0; while [ $i -lt 150 ]; do sleep 1000 & i=$((i+1)); done;"
                                      " echo $!; exit 3");
        struct session s;

        _Static_assert(150 > 2 * JOB_REAP_MAX, "takes several turns of the loop");
        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_true(is_gone(atoi(s.texts[0].data)));
        session_finish(&s);
}

static void test_program_that_closes_its_streams_is_waited_for(void **state)
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

static void test_ping_before_during_and_after(void **state)
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

static void test_frames_after_the_result_are_harmless(void **state)
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

static void test_malformed_and_misplaced_frames_close_the_connection(void **state)
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

static void test_more_code_than_announced_closes_the_connection(void **state)
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

static void test_second_request_closes_and_kills(void **state)
{
        struct wire_request q = SHELL("echo $$; sleep 1000");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 2);
        session_send_request(&s, &q);
        assert_int_equal(session_await_end(&s), EPROTO);
        assert_true(is_gone(atoi(s.texts[0].data)));
        session_release(&s);
}

static void test_lost_connection_kills_the_program(void **state)
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
                assert_true(is_gone(pids[i]));
        session_release(&s);
}

static void test_lost_connection_is_seen_while_output_is_backed_up(void **state)
{
        struct wire_request q = SHELL("cat /dev/zero");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 1);
        assert_int_equal(session_close(&s), ECONNRESET);
        session_release(&s);
}

static void test_lost_connection_is_seen_while_stdin_is_backed_up(void **state)
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

static void test_termination_ends_the_program_first(void **state)
{
        struct wire_request q = SHELL("echo $$; sleep 1000");
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_await_output(&s, 2);
        kill(s.agent, SIGTERM);
        assert_int_equal(session_await_end(&s), EINTR);
        assert_true(is_gone(atoi(s.texts[0].data)));
        session_release(&s);
}

static void test_boot_error_is_said_and_nothing_run(void **state)
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
                cmocka_unit_test(test_hello_then_output_then_exit_code),
                cmocka_unit_test(test_signal),
                cmocka_unit_test(test_megabytes_through_stdin_and_both_streams),
                cmocka_unit_test(test_slow_host_stops_the_program_and_loses_nothing),
                cmocka_unit_test(test_output_max_is_exact_and_counted),
                cmocka_unit_test(test_many_small_writes_make_few_frames),
                cmocka_unit_test(test_output_before_a_pause_does_not_wait),
                cmocka_unit_test(test_streams_in_turn_lose_nothing),
                cmocka_unit_test(test_no_stdin_is_end_of_file),
                cmocka_unit_test(test_stdin_of_a_program_that_does_not_read_is_dropped),
                cmocka_unit_test(test_arguments_environment_and_directory),
                cmocka_unit_test(test_default_environment),
                cmocka_unit_test(test_clean_process),
                cmocka_unit_test(test_code_file_below_the_working_directory),
                cmocka_unit_test(test_code_file_outside_is_refused),
                cmocka_unit_test(test_code_file_through_a_link_is_refused),
                cmocka_unit_test(test_program_that_cannot_be_run),
                cmocka_unit_test(test_time_limit_kills_all_descendants),
                cmocka_unit_test(test_time_limit_ends_a_flood_that_nobody_reads),
                cmocka_unit_test(test_leftovers_do_not_outlive_the_program),
                cmocka_unit_test(test_more_leftovers_than_are_reaped_at_once),
                cmocka_unit_test(test_program_that_closes_its_streams_is_waited_for),
                cmocka_unit_test(test_ping_before_during_and_after),
                cmocka_unit_test(test_frames_after_the_result_are_harmless),
                cmocka_unit_test(test_malformed_and_misplaced_frames_close_the_connection),
                cmocka_unit_test(test_more_code_than_announced_closes_the_connection),
                cmocka_unit_test(test_second_request_closes_and_kills),
                cmocka_unit_test(test_lost_connection_kills_the_program),
                cmocka_unit_test(test_lost_connection_is_seen_while_output_is_backed_up),
                cmocka_unit_test(test_lost_connection_is_seen_while_stdin_is_backed_up),
                cmocka_unit_test(test_termination_ends_the_program_first),
                cmocka_unit_test(test_boot_error_is_said_and_nothing_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
