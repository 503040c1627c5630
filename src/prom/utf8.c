/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/utf8.h"

#include <string.h>

/* Length of the UTF-8 sequence at s, by table 3-7 of the Unicode standard; 0 if it is invalid. */
static size_t utf8_length(const unsigned char *s)
{
        if (s[0] < 0x80)
                return 1;
        unsigned char low = 0x80, high = 0xbf;
        size_t n;
        if (s[0] >= 0xc2 && s[0] <= 0xdf) {
                n = 2;
        } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
                n = 3;
                low = s[0] == 0xe0 ? 0xa0 : low;
                high = s[0] == 0xed ? 0x9f : high;
        } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
                n = 4;
                low = s[0] == 0xf0 ? 0x90 : low;
                high = s[0] == 0xf4 ? 0x8f : high;
        } else {
                return 0;
        }
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return n;
}

bool prom_is_utf8_(const char *s)
{
        for (const unsigned char *p = (const unsigned char *)s; *p;) {
                size_t n = utf8_length(p);
                if (n == 0)
                        return false;
                p += n;
        }
        return true;
}

size_t prom_clean_value_(const char *value, char out[PROM_LABEL_VALUE_MAX + 1])
{
        static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
        size_t len = 0;
        for (const char *p = value ? value : ""; *p;) {
                size_t n = utf8_length((const unsigned char *)p);
                const char *from = n ? p : replacement;
                size_t add = n ? n : sizeof(replacement) - 1;
                if (len + add > PROM_LABEL_VALUE_MAX)
                        break;
                memcpy(out + len, from, add);
                len += add;
                p += n ? n : 1;
        }
        out[len] = '\0';
        return len;
}
