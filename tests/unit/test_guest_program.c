/* SPDX-License-Identifier: Apache-2.0 */
/* How programs start: arguments, environment, process attributes, and where their code is put. */
#include "guest_session.h"

static void arguments_environment_and_directory_reach_the_program(void **state)
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
        session_expect_text(&s.texts[0], expected);
        session_finish(&s);
}

static void the_default_environment_has_nothing_of_the_agent(void **state)
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

/* Default signal handling, and no descriptor of the agent. */
static void a_program_starts_as_a_clean_process(void **state)
{
        struct wire_request q = SHELL(
                "grep -E '^(SigBlk|SigIgn|NoNewPrivs)' /proc/self/status; ulimit -c; ulimit -n; "
                "ls /proc/self/fd; ps -o pid= -o sid= -o pgid= -p $$ | { read p s g; "
                "test $p = $s -a $p = $g && echo leader; }");
        struct session s;

        session_run(&s, &q);
        session_expect_text(&s.texts[0], "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                         "NoNewPrivs:\t1\n0\n1024\n0\n1\n2\n3\nleader\n");
        session_finish(&s);
}

static void a_code_file_may_be_in_a_subdirectory(void **state)
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
        session_expect_text(&s.texts[0], "code\n");
        session_finish(&s);
}

static void a_code_file_outside_the_working_directory_is_refused(void **state)
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
                session_expect_error(&s, message);
                session_finish(&s);
        }
}

static void a_code_file_through_a_link_is_refused(void **state)
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
        session_expect_error(&s,
                             "code file: directory \"link\": Too many levels of symbolic links");
        session_finish(&s);
}

static void a_program_that_cannot_be_run_is_named(void **state)
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
                session_expect_error(&s, cases[i].message);
                session_finish(&s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(arguments_environment_and_directory_reach_the_program),
                cmocka_unit_test(the_default_environment_has_nothing_of_the_agent),
                cmocka_unit_test(a_program_starts_as_a_clean_process),
                cmocka_unit_test(a_code_file_may_be_in_a_subdirectory),
                cmocka_unit_test(a_code_file_outside_the_working_directory_is_refused),
                cmocka_unit_test(a_code_file_through_a_link_is_refused),
                cmocka_unit_test(a_program_that_cannot_be_run_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
