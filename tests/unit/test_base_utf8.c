/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Encodes a character. Returns its length. */
static size_t encode(uint32_t c, char ret[UTF8_BYTES_MAX])
{
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        if (n == 1) {
                ret[0] = (char)c;
                return 1;
        }
        for (size_t i = n - 1; i > 0; i--, c >>= 6)
                ret[i] = (char)(0x80 | (c & 0x3f));
        ret[0] = (char)((0xff00u >> n) | c);
        return n;
}

static void every_character_is_decoded(void **state)
{
        char text[UTF8_BYTES_MAX];

        for (uint32_t c = 0; c <= 0x10ffff; c++) {
                size_t n = encode(c, text);
                uint32_t back = ~c;

                if (c >= 0xd800 && c <= 0xdfff) {
                        assert_int_equal(utf8_decode(text, n, &back), 0);
                        continue;
                }
                assert_int_equal(utf8_decode(text, n, &back), n);
                assert_int_equal(back, c);
                assert_int_equal(utf8_length(text, n), n);
        }
}

static void malformed_bytes_are_rejected(void **state)
{
        static const char *const malformed[] = {
                "\x80",             /* a continuation byte without a first byte */
                "\xc0\x80",         /* overlong: two bytes for U+0000 */
                "\xc1\xbf",         /* overlong: the largest of two bytes */
                "\xe0\x9f\xbf",     /* overlong: the largest of three */
                "\xf0\x8f\xbf\xbf", /* overlong: the largest of four */
                "\xed\xa0\x80",     /* the first surrogate */
                "\xf4\x90\x80\x80", /* U+110000 */
                "\xf5\x80\x80\x80", /* not the first byte of any character */
                "\xff",
                "\xe6x\x80",     /* a letter instead of a continuation byte */
                "\xf0\x9f\x98x", /* instead of the last one */
        };
        uint32_t c;

        for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
                size_t n = strlen(malformed[i]);

                assert_int_equal(utf8_decode(malformed[i], n, &c), 0);
                assert_int_equal(utf8_length(malformed[i], n), 0);
                assert_false(utf8_is_valid(malformed[i], n));
        }
}

static void a_truncated_character_is_not_malformed(void **state)
{
        uint32_t c;

        assert_int_equal(utf8_decode("\xe6\x97", 2, &c), -1);
        assert_int_equal(utf8_decode("\xf0", 1, &c), -1);
        assert_int_equal(utf8_decode("\xe6x", 2, &c), 0);
        assert_int_equal(utf8_length("\xe6\x97", 2), 0);
        assert_false(utf8_is_valid("ab\xe6\x97", 4));
}

static void a_nul_is_a_character(void **state)
{
        uint32_t c = 1;

        assert_int_equal(utf8_decode("", 1, &c), 1);
        assert_int_equal(c, 0);
        assert_true(utf8_is_valid("a\0b", 3));
}

static void valid_text_is_valid(void **state)
{
        assert_true(utf8_is_valid("", 0));
        assert_true(utf8_is_valid("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80", 14));
        assert_true(utf8_is_valid(UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_character_is_decoded),
                cmocka_unit_test(malformed_bytes_are_rejected),
                cmocka_unit_test(a_truncated_character_is_not_malformed),
                cmocka_unit_test(a_nul_is_a_character),
                cmocka_unit_test(valid_text_is_valid),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
