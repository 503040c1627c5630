/* SPDX-License-Identifier: Apache-2.0 */
/* Error messages of `vulcan run` name flags. */
#include "cli/run_args.h"

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
        run_args_name_flag(&a, server, &err);
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

static void fields_in_a_message_of_a_daemon_become_flags(void **state)
{
        check_from(RUN_FROM_ARCHIVE, "http://h:1", "http://h:1: code_archive: not a gzip file",
                   "http://h:1: --archive x.zip: not a gzip file");
        check_from(RUN_FROM_ARCHIVE, "http://h:1", "http://h:1: the store is full",
                   "http://h:1: the store is full");
}

static void other_messages_stay_as_they_are(void **state)
{
        check("network nat needs CAP_NET_ADMIN", "network nat needs CAP_NET_ADMIN");
        check("codec: broken", "codec: broken");
        check("code", "code");
        check("", "");
        check("cannot read x: No such file", "cannot read x: No such file");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields_become_flags),
                cmocka_unit_test(fields_in_a_message_of_a_daemon_become_flags),
                cmocka_unit_test(other_messages_stay_as_they_are),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
