/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include <string.h>

/* The length that a first byte announces (Unicode 15, table 3-7); 0 if no character begins so. */
static size_t announced(unsigned char c)
{
        return c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;
}

/* False for overlong forms, surrogates, and what is beyond U+10FFFF: the second byte tells. */
static bool second_fits(unsigned char first, unsigned char second)
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

int printable_decode(const char *text, size_t n, uint32_t *ret)
{
        const unsigned char *s = (const unsigned char *)text;
        size_t len = announced(s[0]);
        uint32_t c = len <= 1 ? s[0] : s[0] & (0xffu >> (len + 1));

        if (!len)
                return 0;
        for (size_t i = 1; i < len; i++) {
                if (i == n)
                        return -1;
                if ((s[i] & 0xc0) != 0x80 || (i == 1 && !second_fits(s[0], s[1])))
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        *ret = c;
        return (int)len;
}

bool printable_is_harmful(uint32_t c, enum printable_where where)
{
        if (where == PRINTABLE_OUTPUT && (c == 0x200c || c == 0x200d))
                return false;
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
               (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
               (c >= 0xe0000 && c <= 0xe007f);
}

size_t printable_clean(char *text)
{
        size_t out = 0, n = strlen(text);

        for (size_t i = 0; i < n;) {
                uint32_t c = 0;
                int len = printable_decode(text + i, n - i, &c);

                if (len <= 0 || printable_is_harmful(c, PRINTABLE_LINE)) {
                        text[out++] = '?';
                        i += len > 0 ? (size_t)len : 1;
                        continue;
                }
                memmove(text + out, text + i, (size_t)len);
                out += (size_t)len;
                i += (size_t)len;
        }
        text[out] = '\0';
        return out;
}
