/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MAX_LEN = 192, NAME_SHOWN = 80 };

/* Appends the text of a path. Returns the length so far, which is below `size`. */
static size_t path_text(const struct json_path *at, char *text, size_t size)
{
        size_t n = at->parent ? path_text(at->parent, text, size) : 0;
        const char *dot = n ? "." : "";

        if (at->name)
                snprintf(text + n, size - n, "%s%.*s", dot, NAME_SHOWN, at->name);
        else
                snprintf(text + n, size - n, "[%zu]", at->index);
        return n + strlen(text + n);
}

int json_fail(const struct json_path *at, struct err *err, int code, const char *format, ...)
{
        char path[PATH_MAX_LEN], message[ERR_MESSAGE_MAX];
        va_list ap;

        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        if (!at)
                return err_set(err, code, "%s", message);
        path_text(at, path, sizeof(path));
        return err_set(err, code, "%s: %s", path, message);
}

int json_parse(const void *text, size_t n, size_t flags, json_t **ret, struct err *err)
{
        json_error_t where;
        json_t *value = json_loadb(text, n, flags | JSON_REJECT_DUPLICATES, &where);

        if (!value)
                return err_set(err, EINVAL, "not JSON (line %d, column %d): %s", where.line,
                               where.column, where.text);
        *ret = value;
        return 0;
}

json_t *json_string_lossy(const char *text)
{
        json_t *plain = json_string(text);
        _cleanup_free_ char *clean = NULL;
        size_t out = 0;

        if (plain)
                return plain;
        clean = malloc(strlen(text) * strlen(UTF8_REPLACEMENT) + 1);
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
