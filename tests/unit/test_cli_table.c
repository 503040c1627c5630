/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and JSON on standard output, with text that must not control the terminal. */
#include "cli/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *printed(const struct table *t)
{
        char *text = NULL;
        size_t n = 0;
        FILE *to = open_memstream(&text, &n);

        assert_int_equal(table_print(t, to), 0);
        fclose(to);
        return text;
}

static void check_clean(const char *text, size_t columns, const char *want, size_t width)
{
        struct buf clean = BUF_INIT(4096);

        assert_int_equal(buf_add(&clean, "", 0), 0);
        assert_int_equal(table_clean(&clean, text, columns), width);
        assert_string_equal(clean.len ? clean.data : "", want);
        buf_release(&clean);
}

static void columns_are_aligned(void **state)
{
        struct table t = TABLE_INIT;
        char *text;

        table_heads(&t, "NAME|>N|LAST");
        table_cell(&t, "a");
        table_cell(&t, "%d", 1);
        table_cell(&t, "x");
        table_cell(&t, "longer name");
        table_cell(&t, "%d", 1000);
        table_cell(&t, "y");
        text = printed(&t);
        assert_string_equal(text, "NAME            N  LAST\n"
                                  "a               1  x\n"
                                  "longer name  1000  y\n");
        free(text);
        table_release(&t);
}

static void a_table_without_rows_prints_its_headings(void **state)
{
        struct table t = TABLE_INIT;
        char *text;

        table_heads(&t, "A|B");
        text = printed(&t);
        assert_string_equal(text, "A  B\n");
        free(text);
        table_release(&t);
}

/* Wide characters take two columns each, a combining mark none. */
static void wide_and_combining_characters_are_measured(void **state)
{
        struct table t = TABLE_INIT;
        char *text;

        table_heads(&t, "A|B");
        table_cell(&t, "日本");
        table_cell(&t, "1");
        table_cell(&t, "e\xcc\x81");
        table_cell(&t, "2");
        text = printed(&t);
        assert_string_equal(text, "A     B\n"
                                  "日本  1\n"
                                  "e\xcc\x81     2\n");
        free(text);
        table_release(&t);
}

static void harmful_characters_are_replaced(void **state)
{
        check_clean("plain", 0, "plain", 5);
        check_clean("a\x1b[31mred\nline\ttab\rcr\x7f", 0, "a?[31mred?line?tab?cr?", 22);
        check_clean("\xc2\x9b"
                    "31m",
                    0, "?31m", 4); /* CSI as one character */
        check_clean("x\xe2\x80\xae"
                    "gpj.exe",
                    0, "x?gpj.exe", 9); /* right-to-left override */
        check_clean("zero\xe2\x80\x8bwidth", 0, "zero?width", 10);
}

static void invalid_utf8_is_replaced(void **state)
{
        check_clean("\xff\xfe", 0, "??", 2);
        check_clean("\xc3(", 0, "?(", 2);
        check_clean("\xc0\xaf", 0, "??", 2);           /* an overlong encoding */
        check_clean("\xed\xa0\x80", 0, "???", 3);      /* half of a surrogate pair */
        check_clean("\xf4\x90\x80\x80", 0, "????", 4); /* above U+10FFFF */
        check_clean("cut \xe6\x97", 0, "cut ??", 6);
}

static void long_text_is_cut(void **state)
{
        check_clean("0123456789", 10, "0123456789", 10);
        check_clean("0123456789x", 10, "0123456...", 10);
        check_clean("日本日本日", 9, "日本日...", 9);
        check_clean("日本日本日", 8, "日本...", 7);
}

static void a_cell_cannot_break_its_row(void **state)
{
        struct table t = TABLE_INIT;
        char *text, *newline;

        table_heads(&t, "ERROR");
        table_cell(&t, "%s", "one\ntwo\r\x1b[2K");
        text = printed(&t);
        newline = strchr(strchr(text, '\n') + 1, '\n');
        assert_non_null(newline);
        assert_int_equal(newline[1], '\0');
        assert_null(strchr(text, '\x1b'));
        free(text);
        table_release(&t);
}

static void a_closed_output_is_an_error(void **state)
{
        struct table t = TABLE_INIT;
        FILE *full = fopen("/dev/full", "w");
        json_t *json = json_pack("{s:i}", "a", 1);

        if (!full)
                skip();
        table_heads(&t, "A");
        assert_int_equal(table_print(&t, full), -EIO);
        clearerr(full);
        assert_int_equal(table_print_json(json, full), -EIO);
        assert_int_equal(table_print_json(NULL, stdout), -EIO);
        json_decref(json);
        fclose(full);
        table_release(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(columns_are_aligned),
                cmocka_unit_test(a_table_without_rows_prints_its_headings),
                cmocka_unit_test(wide_and_combining_characters_are_measured),
                cmocka_unit_test(harmful_characters_are_replaced),
                cmocka_unit_test(invalid_utf8_is_replaced),
                cmocka_unit_test(long_text_is_cut),
                cmocka_unit_test(a_cell_cannot_break_its_row),
                cmocka_unit_test(a_closed_output_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
