/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `vulcan run`. */
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/run_args.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORDS_MAX = 32 };

/* Parses the words after "run"; NULL ends them. */
static int parse(struct run_args *a, struct err *err, ...)
{
        char *argv[WORDS_MAX] = {(char *)"run"};
        int argc = 1;
        va_list ap;

        *err = ERR_INIT;
        va_start(ap, err);
        while (argc < WORDS_MAX - 1 && (argv[argc] = va_arg(ap, char *)) != NULL)
                argc++;
        va_end(ap);
        return run_args_parse(a, command_find(&vulcan_commands, "run"), argc, argv, err);
}

static void words_after_the_file_are_its_arguments(void **state)
{
        struct run_args a;
        struct err err;

        assert_int_equal(parse(&a, &err, "--runtime", "python", "--timeout", "5", "x.txt", "--cpus",
                               "9", "-q", NULL),
                         0);
        assert_int_equal(a.source, RUN_FROM_FILE);
        assert_string_equal(a.path, "x.txt");
        assert_string_equal(a.spec.runtime, "python");
        assert_int_equal(a.spec.limits.timeout_s, 5);
        assert_int_equal(a.spec.limits.cpus, 0); /* words after FILE are the program's arguments */
        assert_int_equal(a.spec.n_args, 3);
        assert_string_equal(a.spec.args[0], "--cpus");
        assert_string_equal(a.spec.args[2], "-q");
        assert_false(a.quiet);
        run_args_release(&a);
}

static void code_may_be_a_word(void **state)
{
        struct run_args a;
        struct err err;

        assert_int_equal(parse(&a, &err, "-e", "print(1)", "-r", "python", "--metrics", "-n", "-q",
                               "--mem", "256", "--cpus", "2", "--network", "nat", "one", "--two",
                               NULL),
                         0);
        assert_int_equal(a.source, RUN_FROM_WORD);
        assert_true(a.metrics && a.no_stdin && a.quiet);
        assert_int_equal(a.spec.limits.mem_mb, 256);
        assert_int_equal(a.spec.limits.cpus, 2);
        assert_int_equal(a.spec.network, WORKLOAD_NETWORK_NAT);
        assert_int_equal(a.spec.n_args, 2);
        assert_string_equal(a.spec.args[1], "--two");
        assert_int_equal(run_args_load(&a, &err), 0);
        assert_int_equal(a.spec.code_size, 8);
        assert_memory_equal(a.spec.code, "print(1)", 8);
        assert_int_equal(a.spec.stdin_fd, -1); /* -n */
        run_args_release(&a);
}

static void the_suffix_selects_the_runtime(void **state)
{
        static const char *const cases[][2] = {{"a.py", "python"}, {"dir.d/b.js", "node"},
                                               {"c.mjs", "node"},  {"d.go", "go"},
                                               {"e.sh", "sh"},     {"x.tar.go", "go"}};
        struct run_args a;
        struct err err;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(parse(&a, &err, cases[i][0], NULL), 0);
                assert_string_equal(a.spec.runtime, cases[i][1]);
                run_args_release(&a);
        }
        assert_int_equal(parse(&a, &err, "script", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "use --runtime"));
        assert_int_equal(parse(&a, &err, "-", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "--runtime"));
        assert_int_equal(parse(&a, &err, "-r", "ruby", "a.py", NULL), 0);
        assert_string_equal(a.spec.runtime, "ruby"); /* --runtime overrides the suffix */
        run_args_release(&a);
}

static void limits_accept_units(void **state)
{
        static const struct {
                const char *timeout, *mem;
                unsigned timeout_s, mem_mb;
        } fine[] = {{"90", "64", 90, 64},
                    {"90s", "512M", 90, 512},
                    {"5m", "1g", 300, 1024},
                    {"24h", "64G", 86400, 65536},
                    {"1", "131072K", 1, 128}};
        static const char *const wrong[][3] = {
                {"--timeout", "25h", "from 1s to 24h"}, {"--timeout", "5x", "from 1s to 24h"},
                {"--timeout", "-1", "from 1s to 24h"},  {"--mem", "63", "from 64M to 64G"},
                {"--mem", "65G", "from 64M to 64G"},    {"--mem", "65537K", "whole MiB"},
                {"--mem", "512MB", "from 64M to 64G"},  {"--mem", "9999999999T", "from 64M to 64G"},
                {"--cpus", "33", "from 1 to 32"},       {"--cpus", "1k", "from 1 to 32"},
                {"--cpus", "0", "from 1 to 32"}};
        struct run_args a;
        struct err err;

        for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
                assert_int_equal(parse(&a, &err, "--timeout", fine[i].timeout, "--mem", fine[i].mem,
                                       "--cpus", "32", "a.py", NULL),
                                 0);
                assert_int_equal(a.spec.limits.timeout_s, fine[i].timeout_s);
                assert_int_equal(a.spec.limits.mem_mb, fine[i].mem_mb);
                assert_int_equal(a.spec.limits.cpus, 32);
                run_args_release(&a);
        }
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                assert_int_equal(parse(&a, &err, wrong[i][0], wrong[i][1], "a.py", NULL), -EINVAL);
                assert_non_null(strstr(err.msg, wrong[i][0]));
                assert_non_null(strstr(err.msg, wrong[i][2]));
        }
}

static void variables_are_set_or_passed_on(void **state)
{
        struct run_args a;
        struct err err;

        setenv("CLI_TEST_GIVEN", "from us", 1);
        unsetenv("CLI_TEST_ABSENT");
        assert_int_equal(parse(&a, &err, "--env", "A=1", "--env", "CLI_TEST_GIVEN", "--env",
                               "CLI_TEST_ABSENT", "--env", "B=x=y", "--env", "C=", "a.py", NULL),
                         0);
        assert_int_equal(a.spec.n_env, 4);
        assert_string_equal(a.spec.env[0], "A=1");
        assert_string_equal(a.spec.env[1], "CLI_TEST_GIVEN=from us");
        assert_string_equal(a.spec.env[2], "B=x=y");
        assert_string_equal(a.spec.env[3], "C=");
        run_args_release(&a);
        assert_int_equal(parse(&a, &err, "--env", "=1", "a.py", NULL), -EINVAL);
        assert_int_equal(parse(&a, &err, "--env", "", "a.py", NULL), -EINVAL);
}

static void settings_are_options_too(void **state)
{
        struct run_args a;
        struct err err;

        assert_int_equal(parse(&a, &err, "--state-dir", "/somewhere", "--vmm=qemu", "a.py", NULL),
                         0);
        assert_string_equal(a.settings.state_dir, "/somewhere");
        assert_string_equal(a.settings.vmm, "qemu");
        assert_int_equal(a.spec.limits.output_max, a.settings.output_max);
        assert_true(a.spec.limits.output_max > 0);
        run_args_release(&a);
        assert_int_equal(parse(&a, &err, "--vmm", "emacs", "a.py", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "--vmm"));
}

static void wrong_use_gives_a_one_line_error(void **state)
{
        static const struct {
                const char *words[6];
                const char *want;
        } cases[] = {
                {{NULL}, "no program given"},
                {{"-r", "sh", NULL}, "no program given"},
                {{"--runtime", NULL}, "--runtime needs a value"},
                {{"-e", NULL}, "-e needs a value"},
                {{"--colour", "a.py", NULL}, "unknown option --colour"},
                {{"-nz", "a.py", NULL}, "unknown option -z"},
                {{"-e", "1", "--archive", "x", NULL}, "-e and --archive exclude each other"},
                {{"-e", "1", NULL}, "--runtime is missing"},
                {{"--timeout", "0", "a.py", NULL}, "--timeout"},
                {{"--timeout", "5x", "a.py", NULL}, "--timeout"},
                {{"--timeout", "-5", "a.py", NULL}, "--timeout"},
                {{"--mem", "99999999999999999999", "a.py", NULL}, "--mem"},
                {{"--network", "bridge", "a.py", NULL}, "--network"},
                {{"--entrypoint", "m.py", "a.py", NULL}, "--entrypoint needs --archive"},
                {{"--runtime", "", "a.py", NULL}, "--runtime"},
        };
        struct run_args a;
        struct err err;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *const *w = cases[i].words;

                assert_int_equal(parse(&a, &err, w[0], w[1], w[2], w[3], w[4], NULL), -EINVAL);
                assert_non_null(strstr(err.msg, cases[i].want));
                assert_null(strchr(err.msg, '\n'));
        }
}

static void help_needs_no_other_words(void **state)
{
        struct run_args a;
        struct err err;

        assert_int_equal(parse(&a, &err, "--help", NULL), 0);
        assert_true(a.help);
        run_args_release(&a);
        assert_int_equal(parse(&a, &err, "-r", "x", "-h", NULL), 0);
        assert_true(a.help);
        run_args_release(&a);
}

static void code_is_read_from_files(void **state)
{
        char dir[] = "/tmp/vulcan-cli-XXXXXX", path[64], empty[64];
        struct run_args a;
        struct err err;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/a.py", dir);
        snprintf(empty, sizeof(empty), "%s/b.py", dir);
        assert_int_equal(fs_write(path, "pass\0\n", 6, 0600, NULL), 0);
        assert_int_equal(fs_write(empty, "", 0, 0600, NULL), 0);

        assert_int_equal(parse(&a, &err, "-n", path, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        assert_int_equal(a.spec.code_size, 6);
        assert_memory_equal(a.spec.code, "pass\0\n", 6);
        assert_false(a.spec.archive);
        run_args_release(&a);

        assert_int_equal(
                parse(&a, &err, "-n", "-r", "sh", "--entrypoint", "m", "--archive", path, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        assert_true(a.spec.archive);
        assert_string_equal(a.spec.entrypoint, "m");
        run_args_release(&a);

        assert_int_equal(parse(&a, &err, "-n", empty, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        assert_int_equal(a.spec.code_size, 0);
        assert_int_equal(workload_spec_check(&a.spec, &err), 0);
        run_args_release(&a);

        assert_int_equal(parse(&a, &err, "-n", "-r", "sh", "-e", "", NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        assert_int_equal(workload_spec_check(&a.spec, &err), 0);
        run_args_release(&a);

        assert_int_equal(parse(&a, &err, "-n", "-r", "sh", "--archive", empty, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "not an archive"));
        run_args_release(&a);

        assert_int_equal(parse(&a, &err, "-r", "sh", dir, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), -EISDIR);
        assert_non_null(strstr(err.msg, "--archive"));
        run_args_release(&a);

        assert_int_equal(fs_remove_tree(dir, NULL), 0);
        assert_int_equal(parse(&a, &err, path, NULL), 0);
        assert_int_equal(run_args_load(&a, &err), -ENOENT);
        run_args_release(&a);
}

/* Makes standard input a file with this text. Returns the descriptor to restore. */
static int take_stdin(const char *text)
{
        int was = dup(STDIN_FILENO);
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
        close(fds[1]);
        dup2(fds[0], STDIN_FILENO);
        close(fds[0]);
        return was;
}

static void give_stdin_back(int was)
{
        dup2(was, STDIN_FILENO);
        close(was);
}

static void standard_input_is_the_code_or_the_input(void **state)
{
        struct run_args a;
        struct err err;
        char c = 0;
        int was;

        was = take_stdin("echo");
        assert_int_equal(parse(&a, &err, "-r", "sh", "-", "arg", NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        give_stdin_back(was);
        assert_memory_equal(a.spec.code, "echo", 4);
        assert_int_equal(a.spec.stdin_fd, -1); /* standard input was the code */
        assert_int_equal(a.spec.n_args, 1);
        run_args_release(&a);

        was = take_stdin("input");
        assert_int_equal(parse(&a, &err, "-r", "sh", "-e", "cat", NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        give_stdin_back(was);
        assert_true(a.spec.stdin_fd > STDERR_FILENO);
        assert_int_equal(read(a.spec.stdin_fd, &c, 1), 1);
        assert_int_equal(c, 'i');
        run_args_release(&a);

        was = dup(STDIN_FILENO);
        close(STDIN_FILENO);
        assert_int_equal(parse(&a, &err, "-r", "sh", "-e", "cat", NULL), 0);
        assert_int_equal(run_args_load(&a, &err), 0);
        give_stdin_back(was);
        assert_int_equal(a.spec.stdin_fd, -1); /* closed */
        run_args_release(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_after_the_file_are_its_arguments),
                cmocka_unit_test(code_may_be_a_word),
                cmocka_unit_test(the_suffix_selects_the_runtime),
                cmocka_unit_test(limits_accept_units),
                cmocka_unit_test(variables_are_set_or_passed_on),
                cmocka_unit_test(settings_are_options_too),
                cmocka_unit_test(wrong_use_gives_a_one_line_error),
                cmocka_unit_test(help_needs_no_other_words),
                cmocka_unit_test(code_is_read_from_files),
                cmocka_unit_test(standard_input_is_the_code_or_the_input),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
