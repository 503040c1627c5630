/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include "base/utf8.h"

#include <string.h>

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
                int len = utf8_decode(text + i, n - i, &c);

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
