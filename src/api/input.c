/* SPDX-License-Identifier: Apache-2.0 */
#include "api/input.h"

#include <string.h>

static const char name[] = "\"input\"";

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(const char *s, size_t size, size_t at)
{
        while (at < size && is_space(s[at]))
                at++;
        return at;
}

/* The end of the string that begins at `at`; `size` if it is not terminated. */
static size_t skip_string(const char *s, size_t size, size_t at)
{
        for (at++; at < size && s[at] != '"'; at++)
                if (s[at] == '\\')
                        at++;
        return at < size ? at + 1 : size;
}

static size_t skip_value(const char *s, size_t size, size_t at)
{
        size_t depth = 0;

        while (at < size) {
                char c = s[at];

                if (c == '"') {
                        at = skip_string(s, size, at);
                        if (!depth)
                                return at;
                        continue;
                }
                if (!depth && (c == ',' || c == '}' || c == ']' || is_space(c)))
                        return at;
                at++;
                if (c == '{' || c == '[')
                        depth++;
                else if ((c == '}' || c == ']') && --depth == 0)
                        return at;
        }
        return at;
}

bool api_input_find(const char *body, size_t size, size_t *ret_at, size_t *ret_size)
{
        size_t at = skip_space(body, size, 0);

        if (at == size || body[at] != '{')
                return false;
        for (;;) {
                size_t key, end, value;

                key = skip_space(body, size, at + 1);
                if (key == size || body[key] != '"')
                        return false;
                end = skip_string(body, size, key);
                at = skip_space(body, size, end);
                if (at == size || body[at] != ':')
                        return false;
                value = skip_space(body, size, at + 1);
                at = skip_value(body, size, value);
                if (end - key == sizeof(name) - 1 &&
                    memcmp(body + key, name, sizeof(name) - 1) == 0) {
                        *ret_at = value;
                        *ret_size = at - value;
                        return at > value;
                }
                at = skip_space(body, size, at);
                if (at == size || body[at] != ',')
                        return false;
        }
}

size_t api_input_compact(char *text, size_t size)
{
        size_t to = 0, at = 0;

        while (at < size) {
                size_t n = text[at] == '"' ? skip_string(text, size, at) - at : 1;

                if (!is_space(text[at])) {
                        memmove(text + to, text + at, n);
                        to += n;
                }
                at += n;
        }
        return to;
}
