/* SPDX-License-Identifier: Apache-2.0 */
#include "http/text.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <string.h>

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
        for (size_t left = strlen(text); left;) {
                size_t n = utf8_length(text, left), taken = n ? n : 1;

                memcpy(clean + out, n ? text : UTF8_REPLACEMENT, n ? n : strlen(UTF8_REPLACEMENT));
                out += n ? n : strlen(UTF8_REPLACEMENT);
                text += taken;
                left -= taken;
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
