/* SPDX-License-Identifier: Apache-2.0 */
/* What untrusted text must not do to a terminal or a log. */
#include "base/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *text, const char *want)
{
        char copy[128];

        snprintf(copy, sizeof(copy), "%s", text);
        assert_int_equal(printable_clean(copy), strlen(want));
        assert_string_equal(copy, want);
}

static void plain_text_is_kept(void **state)
{
        check("", "");
        check("caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 "
                                                                       "\xe6\x97\xa5\xe6\x9c\xac "
                                                                       "\xf0\x9f\x98\x80");
}

static void controls_are_replaced(void **state)
{
        char c0[4] = "a?b";

        for (int c = 1; c < 0x20; c++) {
                c0[1] = (char)c;
                check(c0, "a?b");
        }
        check("a\x7f"
              "b",
              "a?b");
        /* C1, as raw bytes and as UTF-8. */
        for (unsigned c = 0x80; c <= 0x9f; c++) {
                char raw[] = {'a', (char)c, '3', '1', 'm', '\0'};
                char utf8[] = {'a', '\xc2', (char)c, '3', '1', 'm', '\0'};

                check(raw, "a?31m");
                check(utf8, "a?31m");
        }
}

static void malformed_utf8_is_replaced(void **state)
{
        check("\xe9t\xe9", "?t?");
        check("\xc0\x9b", "??");           /* an overlong C1 */
        check("\xe0\x82\x9b", "???");      /* another */
        check("\xed\xa0\x80", "???");      /* a surrogate */
        check("\xf4\x90\x80\x80", "????"); /* beyond Unicode */
        check("cut \xe6\x97", "cut ??");
}

static void characters_that_reorder_or_hide_text_are_replaced(void **state)
{
        static const uint32_t harmful[] = {0x061c, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028,
                                           0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060,
                                           0x2066, 0x2067, 0x2068, 0x2069, 0xfeff};

        for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++) {
                uint32_t c = harmful[i];
                char text[8];

                if (c < 0x800)
                        snprintf(text, sizeof(text), "%c%c", 0xc0 | (int)(c >> 6),
                                 0x80 | (int)(c & 0x3f));
                else
                        snprintf(text, sizeof(text), "%c%c%c", 0xe0 | (int)(c >> 12),
                                 0x80 | (int)(c >> 6 & 0x3f), 0x80 | (int)(c & 0x3f));
                check(text, "?");
        }
        assert_false(printable_is_harmful(0x200d, PRINTABLE_OUTPUT));
        assert_true(printable_is_harmful(0x202e, PRINTABLE_OUTPUT));
        assert_true(printable_is_harmful(0x9b, PRINTABLE_OUTPUT));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_text_is_kept),
                cmocka_unit_test(controls_are_replaced),
                cmocka_unit_test(malformed_utf8_is_replaced),
                cmocka_unit_test(characters_that_reorder_or_hide_text_are_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
