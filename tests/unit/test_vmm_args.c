/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/args.h"

enum { WORDS_MAX = 24 };

static int parse(struct vmm_args *ret, struct err *err, const char *const *words)
{
        char *argv[WORDS_MAX + 2] = {"vulcan-vmm"};
        int n = 1;

        *err = ERR_INIT;
        for (; *words; words++)
                argv[n++] = (char *)*words;
        return vmm_args_parse(ret, n, argv, err);
}

#define PARSE(ret, err, ...) parse(ret, err, (const char *const[]){__VA_ARGS__, NULL})

static void every_argument_is_read(void **state)
{
        struct vmm_args a;
        struct err err;

        (void)state;
        assert_int_equal(PARSE(&a, &err, "--id", "a-1", "--api-sock=/s", "--config-file", "c",
                               "--log-path", "l", "--level", "Debug", "--show-level",
                               "--show-log-origin", "--metrics-path", "m", "--start-time-us", "7",
                               "--start-time-cpu-us=8", "--boot-timer", "--no-seccomp"),
                         0);
        assert_string_equal(a.id, "a-1");
        assert_string_equal(a.api_sock, "/s");
        assert_string_equal(a.config_file, "c");
        assert_string_equal(a.log_path, "l");
        assert_string_equal(a.level, "Debug");
        assert_string_equal(a.metrics_path, "m");
        assert_int_equal(a.start_time_us, 7);
        assert_int_equal(a.start_time_cpu_us, 8);
        assert_true(a.show_level && a.show_log_origin && a.boot_timer && a.no_seccomp);
        assert_false(a.no_api || a.version || a.help);
}

static void missing_arguments_have_defaults(void **state)
{
        struct vmm_args a;
        struct err err;

        (void)state;
        assert_int_equal(PARSE(&a, &err, "--", "--whatever"), 0);
        assert_string_equal(a.id, "anonymous-instance");
        assert_string_equal(a.api_sock, VMM_DEFAULT_SOCKET);
        assert_int_equal(PARSE(&a, &err, "--version"), 0);
        assert_true(a.version);
        /* These two override arguments that would be errors. */
        assert_int_equal(PARSE(&a, &err, "--nonsense", "--version", "--id"), 0);
        assert_true(a.version && !a.help);
        assert_int_equal(PARSE(&a, &err, "--version", "-h"), 0);
        assert_true(a.help);
        assert_int_equal(PARSE(&a, &err, "--id", "a", "--", "--version", "-h"), 0);
        assert_false(a.version || a.help);
        /* --api-sock does not contradict --no-api. */
        assert_int_equal(PARSE(&a, &err, "--no-api", "--config-file=c", "--api-sock=s"), 0);
        assert_int_equal(PARSE(&a, &err, "--no-api", "--config-file", "c"), 0);
        assert_true(a.no_api);
        assert_int_equal(PARSE(&a, &err, "--seccomp-filter", "f"), 0);
}

static void wrong_arguments_are_named(void **state)
{
        static const struct {
                const char *words[4], *message;
        } bad[] = {
                {{"--nonsense"}, "unknown argument \"--nonsense\""},
                {{"plain"}, "unknown argument \"plain\""},
                {{"-V"}, "unknown argument \"-V\""},
                {{"--id"}, "--id needs a value"},
                {{"--id", "a_b"}, "--id: \"a_b\""},
                {{"--id", ""}, "--id: \"\""},
                {{"--id", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
                 "--id: "},
                {{"--id=a", "--id=b"}, "--id is given twice"},
                {{"--no-api"}, "--no-api needs --config-file"},
                {{"--no-seccomp", "--seccomp-filter=f"}, "exclude each other"},
                {{"--no-api=yes"}, "--no-api takes no value"},
                {{"--start-time-us", "soon"}, "--start-time-us: \"soon\" is not a number"},
                {{"--start-time-us", "-1"}, "is not a number"},
                {{"--start-time-us", "99999999999999999999999"}, "is not a number"},
                {{"--start-time-us", ""}, "is not a number"},
                {{"--snapshot-version"}, "--snapshot-version is not supported"},
                {{"--enable-pci"}, "--enable-pci is not supported"},
                {{"--metadata", "f"}, "--metadata is not supported"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct vmm_args a;
                struct err err;

                assert_int_equal(parse(&a, &err, bad[i].words), -EINVAL);
                if (!strstr(err.msg, bad[i].message))
                        fail_msg("said: %s\nwant: %s", err.msg, bad[i].message);
        }
}

static void help_names_every_flag(void **state)
{
        struct buf b = BUF_INIT(8192);

        (void)state;
        assert_int_equal(vmm_args_help(&b), 0);
        assert_non_null(strstr(b.data, "--config-file"));
        assert_non_null(strstr(b.data, "--metrics-path"));
        assert_null(strstr(b.data, "--snapshot-version")); /* not supported */
        buf_release(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_argument_is_read),
                cmocka_unit_test(missing_arguments_have_defaults),
                cmocka_unit_test(wrong_arguments_are_named),
                cmocka_unit_test(help_names_every_flag),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
