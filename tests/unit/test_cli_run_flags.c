/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in the words of the command line, and settings before the verb. */
#include "cli/cli.h"
#include "cli/run_flags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void check_from(enum run_source source, const char *server, const char *message,
                       const char *want)
{
        struct run_args a = {.source = source, .path = "x.zip"};
        struct err err = ERR_INIT;

        err_set(&err, EINVAL, "%s", message);
        run_flags_name(&a, server, &err);
        assert_string_equal(err.msg, want);
        assert_int_equal(err.code, EINVAL);
}

static void check(const char *message, const char *want)
{
        check_from(RUN_FROM_ARCHIVE, NULL, message, want);
}

static void fields_become_flags(void **state)
{
        check("code_archive: not a gzip file", "run: --archive x.zip: not a gzip file");
        check("code: larger than 10 MiB", "run: --archive x.zip: larger than 10 MiB");
        check("entrypoint: \"../x\" is not", "run: --entrypoint: \"../x\" is not");
        check("args: more than 1024", "run: the program's arguments: more than 1024");
        check("args[3]: one is longer", "run: the program's arguments[3]: one is longer");
        check("env: \"x\" is not NAME=VALUE", "run: --env: \"x\" is not NAME=VALUE");
        check("env.X: too long", "run: --env.X: too long");
        check("mem_mb: 1 is not", "run: --mem: 1 is not");
        check("resources.mem_mb: 9 MiB is more", "run: --mem: 9 MiB is more");
        check("timeout_s: 0 is not", "run: --timeout: 0 is not");
        check("cpus: 99 is not", "run: --cpus: 99 is not");
        check("runtime: unknown \"x\"; there are: sh",
              "run: --runtime: unknown \"x\"; there are: sh");
        check("files: more than 64", "run: --file: more than 64");
        check("fetch: \"..\" is not a path", "run: --out: \"..\" is not a path");
        check_from(RUN_FROM_WORD, NULL, "code: missing", "run: -e: missing");
        check_from(RUN_FROM_FILE, NULL, "code: larger", "run: x.zip: larger");
        check_from(RUN_FROM_STDIN, NULL, "code: larger", "run: the code on standard input: larger");
}

static void so_do_those_of_a_daemon(void **state)
{
        check_from(RUN_FROM_ARCHIVE, "http://h:1", "http://h:1: code_archive: not a gzip file",
                   "http://h:1: --archive x.zip: not a gzip file");
        check_from(RUN_FROM_ARCHIVE, "http://h:1", "http://h:1: the store is full",
                   "http://h:1: the store is full");
}

static void other_messages_stay(void **state)
{
        check("network nat needs CAP_NET_ADMIN", "network nat needs CAP_NET_ADMIN");
        check("codec: broken", "codec: broken");
        check("code", "code");
        check("", "");
        check("cannot read x: No such file", "cannot read x: No such file");
}

static int find(struct err *err, ...)
{
        char *argv[16] = {(char *)"vulcan"};
        int argc = 1;
        va_list ap;

        va_start(ap, err);
        while ((argv[argc] = va_arg(ap, char *)) != NULL)
                argc++;
        va_end(ap);
        *err = ERR_INIT;
        return cli_find_verb(argc, argv, err);
}

static void settings_may_stand_before_the_verb(void **state)
{
        struct err err;

        assert_int_equal(find(&err, "run", "--x", NULL), 1);
        assert_int_equal(find(&err, "--log-level", "debug", "run", NULL), 3);
        assert_int_equal(find(&err, "--log-level=debug", "--server", "URL", "ls", NULL), 4);
        assert_int_equal(find(&err, "--allow-public", "serve", NULL), 2); /* takes no word */
        assert_int_equal(find(&err, "--log-level", "debug", "--help", NULL), 3);
        assert_int_equal(find(&err, "-V", NULL), 1);
        assert_int_equal(find(&err, "--colour", "run", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "unknown option --colour"));
        assert_int_equal(find(&err, "-q", "run", NULL), -EINVAL);
        assert_int_equal(find(&err, "--server", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "--server needs a value"));
        assert_int_equal(find(&err, "--server", "URL", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "no verb"));
        assert_int_equal(find(&err, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields_become_flags),
                cmocka_unit_test(so_do_those_of_a_daemon),
                cmocka_unit_test(other_messages_stay),
                cmocka_unit_test(settings_may_stand_before_the_verb),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
