/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/escape.h"

#include <string.h>

/* Not <ctype.h>, which depends on the locale. */
static bool is_legacy_char(char c, bool first, bool label)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               (c == ':' && !label) || (!first && c >= '0' && c <= '9');
}

bool prom_is_legacy_name_(const char *name, bool label)
{
        for (size_t i = 0; name[i]; i++)
                if (!is_legacy_char(name[i], i == 0, label))
                        return false;
        return name[0] != '\0';
}

/* Decodes the valid UTF-8 sequence at s. Returns the code point, and its length in *ret_n. */
static uint32_t decode(const char *s, size_t *ret_n)
{
        const unsigned char *p = (const unsigned char *)s;
        const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        uint32_t rune = n == 1 ? p[0] : p[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++)
                rune = rune << 6 | (p[i] & 0x3f);
        *ret_n = n;
        return rune;
}

/* The code point in hexadecimal: "_2e_" for a dot. */
static char *put_value(char *out, uint32_t rune)
{
        int shift = 0;
        while (shift < 20 && rune >> (shift + 4))
                shift += 4;
        *out++ = '_';
        for (; shift >= 0; shift -= 4)
                *out++ = "0123456789abcdef"[rune >> shift & 0xf];
        *out++ = '_';
        return out;
}

static char *put_foreign(char *out, uint32_t rune, enum prom_escaping escaping)
{
        switch (escaping) {
        case PROM_ESCAPE_UNDERSCORES:
                *out++ = '_';
                return out;
        case PROM_ESCAPE_DOTS:
                return stpcpy(out, rune == '.' ? "_dot_" : "__");
        case PROM_ESCAPE_VALUES:
                return put_value(out, rune);
        case PROM_ALLOW_UTF8:
                break;
        }
        return out;
}

size_t prom_escape_name_(const char *name, enum prom_escaping escaping, bool label,
                         char out[ESCAPED_NAME_MAX + 1])
{
        if (escaping == PROM_ALLOW_UTF8 || prom_is_legacy_name_(name, label))
                return (size_t)(stpcpy(out, name) - out);
        char *p = escaping == PROM_ESCAPE_VALUES ? stpcpy(out, "U__") : out;
        for (const char *s = name; *s;) {
                size_t n;
                uint32_t rune = decode(s, &n);
                if (*s == '_' && escaping != PROM_ESCAPE_UNDERSCORES)
                        p = stpcpy(p, "__");
                else if (is_legacy_char(*s, s == name, label))
                        *p++ = *s;
                else
                        p = put_foreign(p, rune, escaping);
                s += n;
        }
        *p = '\0';
        return (size_t)(p - out);
}

bool prom_is_name_char_(char c)
{
        return prom_is_legacy_name_((const char[]){'_', c, '\0'}, false);
}

void prom_open_name_(const char *name, const char *suffix, enum prom_escaping escaping,
                     char out[ESCAPED_NAME_MAX + 1])
{
        const size_t n = prom_escape_name_(name, escaping, false, out), m = strlen(suffix);
        if (n > m && strcmp(out + n - m, suffix) == 0)
                out[n - m] = '\0';
}
