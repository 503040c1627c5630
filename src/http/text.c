/* SPDX-License-Identifier: Apache-2.0 */
#include "http/text.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t sequence(const unsigned char *s)
{
        size_t n = s[0] < 0x80                    ? 1
                   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                   : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                  : 0;

        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

json_t *http_json_text(const char *text)
{
        json_t *plain = json_string(text);
        _cleanup_free_ char *clean = NULL;
        size_t out = 0;

        if (plain)
                return plain;
        clean = malloc(strlen(text) * 3 + 1);
        if (!clean)
                return NULL;
        for (const unsigned char *s = (const unsigned char *)text; *s;) {
                size_t n = sequence(s);

                memcpy(clean + out, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
                out += n ? n : 3;
                s += n ? n : 1;
        }
        return json_stringn(clean, out);
}

size_t http_value_length(const char *value)
{
        size_t n = strlen(value);

        while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
                n--;
        return n;
}
