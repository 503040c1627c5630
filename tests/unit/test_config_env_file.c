/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "config/env_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int note(void *ctx, unsigned line, const char *key, const char *value, struct err *err)
{
        return buf_printf(ctx, "%u:%s=<%s>", line, key, value);
}

/* The assignments of a file with this text as "LINE:KEY=<VALUE>…", or the error message. */
static void check(const char *text, const char *want)
{
        struct buf heard = BUF_INIT(10000);
        struct err err = ERR_INIT;
        int r = env_file_parse(text, strlen(text), note, &heard, &err);

        assert_int_equal(r, err.code ? -EINVAL : 0);
        assert_string_equal(err.code ? err.msg : heard.data ? heard.data : "", want);
        buf_release(&heard);
}

static void plain_values_are_read(void **state)
{
        check("", "");
        check("\n\n", "");
        check("A=b", "1:A=<b>");
        check("A=b\nC=d\n", "1:A=<b>2:C=<d>");
        check("  A=  b c  \n", "1:A=<b c>");
        check("A=\n", "1:A=<>");
        check("A=b=c", "1:A=<b=c>");
        check("A_1 = x", "1:A_1=<x>");
        check("A=b\r\nC=d\r\n", "1:A=<b>2:C=<d>");
}

static void comments_and_empty_lines_are_skipped(void **state)
{
        check("# A=b\n; C=d\nE=f # not one\n", "3:E=<f # not one>");
        check("  # indented\nA=b\n#", "2:A=<b>");
        check("# ends with a backslash \\\nA=b\n", "2:A=<b>");
}

static void quotes_preserve_characters(void **state)
{
        check("A='b  c '", "1:A=<b  c >");
        check("A=\"b\\\"c\\\\d\\$e\\`f\\n\"", "1:A=<b\"c\\d$e`f\\n>");
        check("A='b\\c'", "1:A=<b\\c>");
        check("A='b\nc'\nD=e", "1:A=<b\nc>3:D=<e>");
        check("A='b'\"c\" d", "1:A=<bcd>");
        check("A=b'c'", "1:A=<b'c'>");
        check("A=\"b\\\nc\"", "1:A=<bc>");
        check("A=' '", "1:A=< >");
}

static void backslashes_escape_and_continue_lines(void **state)
{
        check("A=b\\\nc\nD=e", "1:A=<bc>3:D=<e>");
        check("A=b\\ ", "1:A=<b >");
        check("A=\\'b\\'", "1:A=<'b'>");
        check("A=b\\", "1:A=<b>");
}

static void mistakes_are_named(void **state)
{
        check("A=b\nnonsense\n", "line 2: \"nonsense\" is not NAME=VALUE");
        check("=b", "line 1: \"\" is not a valid name");
        check("1A=b", "line 1: \"1A\" is not a valid name");
        check("export A=b", "line 1: \"export A\" is not a valid name");
        check("\nA='b\nc", "line 2: the quote ' is never closed");
        check("A=\"b\\", "line 1: the quote \" is never closed");
}

static void nul_bytes_and_long_words_are_rejected(void **state)
{
        struct buf heard = BUF_INIT(100);
        struct err err = ERR_INIT;
        char *big = malloc(ENV_FILE_WORD_MAX + 10);

        assert_int_equal(env_file_parse("A=b\0c", 5, note, &heard, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "NUL"));
        memset(big, 'x', ENV_FILE_WORD_MAX + 10);
        memcpy(big, "A=", 2);
        assert_int_equal(env_file_parse(big, ENV_FILE_WORD_MAX + 10, note, &heard, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "line 1: longer than"));
        free(big);
        assert_int_equal(heard.len, 0);
        buf_release(&heard);
}

static int stop(void *ctx, unsigned line, const char *key, const char *value, struct err *err)
{
        ++*(int *)ctx;
        return err_set(err, ECANCELED, "enough");
}

static void the_callback_can_end_the_parse(void **state)
{
        struct err err = ERR_INIT;
        int calls = 0;

        assert_int_equal(env_file_parse("A=b\nC=d\n", 8, stop, &calls, &err), -ECANCELED);
        assert_int_equal(calls, 1);
        assert_string_equal(err.msg, "enough");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_values_are_read),
                cmocka_unit_test(comments_and_empty_lines_are_skipped),
                cmocka_unit_test(quotes_preserve_characters),
                cmocka_unit_test(backslashes_escape_and_continue_lines),
                cmocka_unit_test(mistakes_are_named),
                cmocka_unit_test(nul_bytes_and_long_words_are_rejected),
                cmocka_unit_test(the_callback_can_end_the_parse),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
