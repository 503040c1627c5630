/* SPDX-License-Identifier: Apache-2.0 */
/* With PROM_DEBUG, an invalid look-up prints its file and line and aborts. */
#define PROM_DEBUG
#include "prom_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct prom_family *counter, *info, *plain;

static void register_all(void)
{
        const struct prom_desc descs[] = {
                {.kind = PROM_COUNTER,
                 .name = "jobs_total",
                 .help = "h",
                 .labels = PROM_LABELS("a", "b")},
                {.kind = PROM_INFO, .name = "app_info", .help = "h", .labels = PROM_LABELS("v")},
                {.kind = PROM_GAUGE, .name = "depth", .help = "h"},
        };
        struct prom_family *families[3];
        assert_int_equal(prom_register_all(registry, descs, 3, families, NULL), 0);
        counter = families[0];
        info = families[1];
        plain = families[2];
}

static void right(void)
{
        const char *five = "5";
        prom_counter_inc(prom_counter_with(counter, "x", "y"));
        prom_counter_inc(prom_counter_with(counter, "x", five));
        prom_info_with(info, "1");
        prom_info_set(info, "2");
        prom_gauge_inc(prom_gauge_with(plain));
        prom_remove(counter, "x", "y");
        prom_counter_inc(prom_counter_with(NULL, "x"));
}
static void too_few(void)
{
        prom_counter_with(counter, "x");
}
static void too_many(void)
{
        prom_counter_with(counter, "1", "2", "3", "4", "5", "6");
}
static void none(void)
{
        prom_counter_with(counter);
}
static void wrong_kind(void)
{
        prom_gauge_with(counter, "x", "y");
}
static void wrong_info(void)
{
        prom_info_with(plain);
}
static void wrong_removal(void)
{
        prom_remove(counter, "x");
}

/* Runs `call` in a child. Returns its wait status, and its standard error. */
static int run(void (*use)(void), char *text, size_t size)
{
        int pipes[2], status;
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(pipes[1], STDERR_FILENO);
                signal(SIGABRT, SIG_DFL);
                use();
                _exit(0);
        }
        close(pipes[1]);
        size_t len = 0;
        for (ssize_t n; (n = read(pipes[0], text + len, size - 1 - len)) > 0;)
                len += (size_t)n;
        text[len] = '\0';
        close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void misuse_aborts_with_file_and_line(void **state)
{
        static const struct {
                void (*use)(void);
                const char *says;
        } cases[] = {
                {too_few,
                 "jobs_total is used as a counter with 1 label values, but it is a counter with 2"},
                {too_many, "used as a counter with 6 label values"},
                {none, "used as a counter with 0 label values"},
                {wrong_kind,
                 "jobs_total is used as a gauge with 2 label values, but it is a counter"},
                {wrong_info,
                 "depth is used as an info with 0 label values, but it is a gauge with 0"},
                {wrong_removal, "jobs_total is used as a metric with 1 label values"},
        };
        char text[1024];
        register_all();
        assert_int_equal(run(right, text, sizeof(text)), 0);
        assert_string_equal(text, "");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int status = run(cases[i].use, text, sizeof(text));
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
                if (!strstr(text, cases[i].says) || !strstr(text, "test_prom_debug.c:"))
                        fail_msg("no \"%s\" in: %s", cases[i].says, text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(misuse_aborts_with_file_and_line, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
