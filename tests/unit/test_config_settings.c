/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct settings s;
static struct err err;

/* Removes the variables of the shell that runs the tests. */
static int setup(void **state)
{
        for (size_t i = 0; i < settings_count(); i++)
                unsetenv(settings_variable(i));
        settings_init(&s);
        err = ERR_INIT;
        return 0;
}

static size_t row(const char *flag)
{
        for (size_t i = 0; i < settings_count(); i++)
                if (strcmp(settings_flag(i), flag) == 0)
                        return i;
        fail_msg("no setting %s", flag);
        return 0;
}

static int flag(const char *name, const char *value)
{
        return settings_take_flag(&s, SETTINGS_OPTION + (int)row(name), value, &err);
}

static int file(const char *text)
{
        return settings_take_file(&s, text, strlen(text), "the.conf", &err);
}

static const char *source(const char *name)
{
        static char text[SETTINGS_TEXT_MAX + 100];
        struct buf b = BUF_INIT(sizeof(text) - 1);

        assert_int_equal(settings_source_text(&s, row(name), &b), 0);
        snprintf(text, sizeof(text), "%s", b.data);
        buf_release(&b);
        return text;
}

static void defaults_come_from_the_table(void **state)
{
        assert_int_equal(settings_load(&s, &err), 0);
        assert_string_equal(s.listen, "127.0.0.1:8080");
        assert_string_equal(s.vmm, "auto");
        assert_string_equal(s.token_file, "");
        assert_false(s.allow_public);
        assert_int_equal(s.max_queue, 64);
        assert_int_equal(s.boot_timeout_s, 30);
        assert_int_equal(s.output_record_max, 16 << 20);
        assert_int_equal(s.log_level, LOG_LEVEL_INFO);
        assert_true(s.max_vms >= 1 && s.max_vms <= 1024);
        assert_int_equal(s.state_dir[0], '/');
        assert_true(strlen(s.node_id) > 0);
        for (size_t i = 0; i < settings_count(); i++)
                assert_int_equal(settings_source(&s, i), SETTINGS_FROM_DEFAULT);
        assert_string_equal(source("listen"), "default");
}

static void a_flag_precedes_the_environment_and_the_file(void **state)
{
        setenv("VULCAN_MAX_VMS", "5", 1);
        setenv("VULCAN_MAX_QUEUE", "6", 1);
        assert_int_equal(flag("max-vms", "3"), 0);
        assert_int_equal(file("VULCAN_MAX_VMS=7\nVULCAN_MAX_QUEUE=8\nVULCAN_NODE_ID=here\n"), 0);
        assert_int_equal(settings_load(&s, &err), 0);
        assert_int_equal(s.max_vms, 3);
        assert_int_equal(s.max_queue, 6);
        assert_string_equal(s.node_id, "here");
        assert_string_equal(source("max-vms"), "flag --max-vms");
        assert_string_equal(source("max-queue"), "environment VULCAN_MAX_QUEUE");
        assert_int_equal(settings_source(&s, row("node-id")), SETTINGS_FROM_FILE);
}

static void the_file_is_named_by_flag_or_variable(void **state)
{
        char path[] = "/tmp/test_config_XXXXXX";
        static const char text[] = "# comment\n\nVULCAN_LISTEN='127.0.0.1:0'\n";
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
        close(fd);
        setenv("VULCAN_CONFIG", path, 1);
        assert_int_equal(settings_load(&s, &err), 0);
        assert_string_equal(s.listen, "127.0.0.1:0");
        assert_non_null(strstr(source("listen"), path));
        assert_non_null(strstr(source("listen"), "line 3"));
        unlink(path);

        settings_init(&s);
        assert_int_equal(settings_load(&s, &err), -ENOENT);
        assert_non_null(strstr(err.msg, path));
}

static void an_invalid_value_is_named_with_its_source_and_what_is_allowed(void **state)
{
        static const struct {
                const char *name, *value;
        } wrong[] = {
                {"max-vms", "0"},
                {"max-vms", "1025"},
                {"max-vms", "many"},
                {"max-vms", "-1"},
                {"max-vms", " 4"},
                {"max-vms", "4x"},
                {"max-vms", ""},
                {"boot-timeout", "0"},
                {"boot-timeout", "2d"},
                {"boot-timeout", "99999999999999999999"},
                {"output-max", "1"},
                {"output-max", "16E"},
                {"output-max", "99999999999999999G"},
                {"log-level", "loud"},
                {"vmm", "xen"},
                {"vmm", "bin/vmm"},
                {"allow-public", "maybe"},
                {"net-bridge", "a-name-that-is-too-long"},
        };

        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                err = ERR_INIT;
                assert_int_equal(flag(wrong[i].name, wrong[i].value), -EINVAL);
                assert_non_null(strstr(err.msg, wrong[i].name));
                assert_non_null(strstr(err.msg, wrong[i].value));
                assert_non_null(strstr(err.msg, "must be"));
        }
        assert_int_equal(flag("max-vms", "0"), -EINVAL);
        assert_string_equal(err.msg,
                            "--max-vms: invalid value \"0\"; must be a number from 1 to 1024");
        setenv("VULCAN_MAX_VMS", "nine", 1);
        assert_int_equal(settings_load(&s, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "VULCAN_MAX_VMS (environment): invalid value \"nine\""));
}

static void an_error_in_the_file_names_its_line(void **state)
{
        assert_int_equal(file("\nVULCAN_LISTENS=1\n"), -EINVAL);
        assert_string_equal(
                err.msg,
                "the.conf: line 2: unknown setting VULCAN_LISTENS; did you mean VULCAN_LISTEN?");
        assert_int_equal(file("PATH=/bin\n"), -EINVAL);
        assert_int_equal(file("VULCAN_CONFIG=/other\n"), -EINVAL);
        assert_int_equal(file("VULCAN_MAX_VMS=\\\n4\nVULCAN_MAX_QUEUE=x\n"), -EINVAL);
        assert_non_null(strstr(err.msg, "the.conf: line 3: VULCAN_MAX_QUEUE: invalid value \"x\""));
        /* A value that a flag overrides is checked too. */
        assert_int_equal(flag("max-vms", "3"), 0);
        assert_int_equal(file("VULCAN_MAX_VMS=none\n"), -EINVAL);
        assert_int_equal(s.max_vms, 3);
}

static void unknown_variables_are_reported(void **state)
{
        size_t at = 0;

        setenv("VULCAN_MAX_QUEUE", "5", 1);
        setenv("VULCAN_TEST_SOMETHING", "1", 1);
        setenv("VULCAN_CACHE", "/x", 1);
        setenv("VULCANO", "1", 1);
        assert_int_equal(settings_check_environment(&at, &err), 0);
        setenv("VULCAN_TOKENFILE", "/x", 1);
        setenv("VULCAN_SOMETHING_ELSE", "", 1);
        at = 0;
        assert_int_equal(settings_check_environment(&at, &err), -EINVAL);
        assert_string_equal(err.msg, "environment: unknown setting VULCAN_TOKENFILE; did you "
                                     "mean VULCAN_TOKEN_FILE?");
        assert_int_equal(settings_check_environment(&at, &err), -EINVAL);
        assert_string_equal(err.msg, "environment: unknown setting VULCAN_SOMETHING_ELSE; vulcan "
                                     "config lists them");
        assert_int_equal(settings_check_environment(&at, &err), 0);
        unsetenv("VULCAN_TOKENFILE");
        unsetenv("VULCAN_SOMETHING_ELSE");
}

static void units_are_parsed(void **state)
{
        assert_int_equal(flag("boot-timeout", "2m"), 0);
        assert_int_equal(s.boot_timeout_s, 120);
        assert_int_equal(flag("boot-timeout", "45s"), 0);
        assert_int_equal(s.boot_timeout_s, 45);
        assert_int_equal(flag("boot-timeout", "1h"), 0);
        assert_int_equal(s.boot_timeout_s, 3600);
        assert_int_equal(flag("output-max", "64K"), 0);
        assert_int_equal(s.output_max, 65536);
        assert_int_equal(flag("output-max", "3g"), 0);
        assert_int_equal(s.output_max, UINT64_C(3) << 30);
        assert_int_equal(flag("allow-public", NULL), 0);
        assert_true(s.allow_public);
        assert_int_equal(flag("allow-public", "off"), 0);
        assert_false(s.allow_public);
        assert_int_equal(flag("vmm", "/opt/vmm"), 0);
        assert_string_equal(s.vmm, "/opt/vmm");
        assert_int_equal(flag("log-level", "debug"), 0);
        assert_int_equal(s.log_level, LOG_LEVEL_DEBUG);
}

static void paths_become_absolute(void **state)
{
        char want[SETTINGS_TEXT_MAX];

        assert_non_null(getcwd(want, sizeof(want) - 10));
        strcat(want, "/state");
        assert_int_equal(flag("state-dir", "state"), 0);
        assert_string_equal(s.state_dir, want);
        assert_int_equal(flag("state-dir", "/abs"), 0);
        assert_string_equal(s.state_dir, "/abs");
}

static void an_empty_variable_counts_as_not_set(void **state)
{
        setenv("VULCAN_MAX_VMS", "", 1);
        assert_int_equal(file("VULCAN_MAX_QUEUE=\n"), 0);
        assert_int_equal(settings_load(&s, &err), 0);
        assert_int_equal(settings_source(&s, row("max-vms")), SETTINGS_FROM_DEFAULT);
        assert_int_equal(s.max_queue, 64);
}

static void the_table_makes_options_for_getopt(void **state)
{
        char *argv[] = {"serve", "--max-vms", "9", "--allow-public", "--listen=127.0.0.1:1",
                        "x",     NULL};
        struct option options[64];
        size_t n = settings_options(SETTINGS_SERVE, options, 64);
        int c, count = 0;

        assert_null(options[n].name);
        optind = 0;
        while ((c = getopt_long(6, argv, "+", options, NULL)) != -1) {
                assert_true(settings_is_option(c));
                assert_int_equal(settings_take_flag(&s, c, optarg, &err), 0);
                count++;
        }
        assert_int_equal(count, 3);
        assert_int_equal(optind, 5);
        assert_int_equal(s.max_vms, 9);
        assert_true(s.allow_public);
        assert_string_equal(s.listen, "127.0.0.1:1");
        assert_false(settings_is_option('x'));
        assert_false(settings_is_option('?'));
}

static void check_text(const char *name, const char *value, const char *shown)
{
        struct buf text = BUF_INIT(100);

        assert_int_equal(flag(name, value), 0);
        assert_int_equal(settings_value_text(&s, row(name), &text), 0);
        assert_string_equal(text.data, shown);
        buf_release(&text);
}

static void values_are_printed_in_their_largest_unit(void **state)
{
        check_text("output-max", "1048576", "1M");
        check_text("output-max", "1T", "1T"); /* the maximum in messages is a valid value */
        check_text("output-max", "1025", "1025");
        check_text("log-age-max", "604800", "168h");
        check_text("log-age-max", "90m", "90m");
        check_text("drain", "61", "61s");
        check_text("drain", "0", "0s");
}

static void defaults_are_printed(void **state)
{
        struct buf text = BUF_INIT(100);

        assert_int_equal(settings_default_text(row("listen"), &text), 0);
        assert_string_equal(text.data, "127.0.0.1:8080");
        buf_release(&text);
        assert_int_equal(settings_default_text(row("max-vms"), &text),
                         0); /* depends on this machine */
        assert_true(atoi(text.data) >= 1);
        buf_release(&text);
}

/* `vulcan config` prints values that can be read back. */
static void printed_values_are_read_back(void **state)
{
        struct buf text = BUF_INIT(1 << 16);
        struct settings was;

        assert_int_equal(settings_load(&s, &err), 0);
        was = s;
        for (size_t i = 1; i < settings_count(); i++) {
                assert_int_equal(buf_printf(&text, "%s=\"", settings_variable(i)), 0);
                assert_int_equal(settings_value_text(&s, i, &text), 0);
                assert_int_equal(buf_add(&text, "\"\n", 2), 0);
        }
        settings_init(&s);
        assert_int_equal(file(text.data), 0);
        assert_int_equal(settings_load(&s, &err), 0);
        assert_memory_equal(&s, &was, offsetof(struct settings, source));
        buf_release(&text);
}

static void rows_can_be_listed(void **state)
{
        struct settings_row listen = settings_row(settings_find("listen"));
        struct settings_row vmm = settings_row(settings_find("vmm"));

        assert_int_equal(settings_find("no-such-flag"), settings_count());
        assert_string_equal(listen.variable, "VULCAN_LISTEN");
        assert_string_equal(listen.default_text, "127.0.0.1:8080");
        assert_int_equal(listen.verbs, SETTINGS_SERVE);
        assert_string_equal(vmm.choices, "auto|firecracker|qemu");
        assert_true(settings_row(settings_find("token-file")).is_path);
        assert_null(settings_row(settings_find("state-dir")).default_text);
        assert_null(settings_row(settings_find("allow-public")).value);
        for (size_t i = 0; i < settings_count(); i++) {
                if (!settings_row(i).verbs || !settings_row(i).help)
                        fail_msg("--%s: no verb has it, or it lacks its help", settings_flag(i));
        }
}

static void the_line_in_the_file_is_known(void **state)
{
        assert_int_equal(file("# one\nVULCAN_MAX_VMS=2\n"), 0);
        assert_int_equal(settings_source_line(&s, row("max-vms")), 2);
        assert_int_equal(flag("max-vms", "3"), 0);
        assert_int_equal(settings_source_line(&s, row("max-vms")), 0);
        assert_int_equal(settings_source_line(&s, row("listen")), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(defaults_come_from_the_table, setup),
                cmocka_unit_test_setup(a_flag_precedes_the_environment_and_the_file, setup),
                cmocka_unit_test_setup(the_file_is_named_by_flag_or_variable, setup),
                cmocka_unit_test_setup(
                        an_invalid_value_is_named_with_its_source_and_what_is_allowed, setup),
                cmocka_unit_test_setup(an_error_in_the_file_names_its_line, setup),
                cmocka_unit_test_setup(unknown_variables_are_reported, setup),
                cmocka_unit_test_setup(units_are_parsed, setup),
                cmocka_unit_test_setup(paths_become_absolute, setup),
                cmocka_unit_test_setup(an_empty_variable_counts_as_not_set, setup),
                cmocka_unit_test_setup(the_table_makes_options_for_getopt, setup),
                cmocka_unit_test_setup(values_are_printed_in_their_largest_unit, setup),
                cmocka_unit_test_setup(defaults_are_printed, setup),
                cmocka_unit_test_setup(printed_values_are_read_back, setup),
                cmocka_unit_test_setup(rows_can_be_listed, setup),
                cmocka_unit_test_setup(the_line_in_the_file_is_known, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
