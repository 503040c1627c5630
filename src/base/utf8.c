/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

/* The length that a first byte announces; 0 if no character starts with it. */
static size_t announced_length(unsigned char first)
{
        return first < 0x80                    ? 1
               : first >= 0xc2 && first < 0xe0 ? 2
               : first >= 0xe0 && first < 0xf0 ? 3
               : first >= 0xf0 && first < 0xf5 ? 4
                                               : 0;
}

/* After some first bytes, not every continuation byte may follow: this is where overlong forms,
 * surrogates and values above U+10FFFF are rejected. */
static bool may_follow(unsigned char first, unsigned char second)
{
        switch (first) {
        case 0xe0:
                return second >= 0xa0;
        case 0xed:
                return second < 0xa0;
        case 0xf0:
                return second >= 0x90;
        case 0xf4:
                return second < 0x90;
        default:
                return true;
        }
}

int utf8_decode(const char *text, size_t n, uint32_t *ret)
{
        const unsigned char *s = (const unsigned char *)text;
        size_t length = announced_length(s[0]);
        uint32_t c = length <= 1 ? s[0] : s[0] & (0xffu >> (length + 1));

        if (!length)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if (i == n)
                        return -1;
                if ((s[i] & 0xc0) != 0x80 || (i == 1 && !may_follow(s[0], s[1])))
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        *ret = c;
        return (int)length;
}

bool utf8_is_valid(const char *s, size_t n)
{
        for (size_t i = 0; i < n;) {
                size_t length = utf8_length(s + i, n - i);

                if (!length)
                        return false;
                i += length;
        }
        return true;
}
