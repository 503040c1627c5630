/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include "config/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_choice(const char *choices, const char *text)
{
        size_t n = strlen(text);

        for (const char *c = choices; *c;) {
                size_t len = strcspn(c, "|");

                if (len == n && memcmp(c, text, n) == 0)
                        return true;
                c += len + (c[len] == '|');
        }
        return false;
}

static int parse_bool(const char *text, bool *ret)
{
        if (is_choice("yes|true|on|1", text))
                *ret = true;
        else if (is_choice("no|false|off|0", text))
                *ret = false;
        else
                return -EINVAL;
        return 0;
}

void setting_allowed(const struct setting *t, char *ret, size_t size)
{
        char low[32], high[32], list[128];

        switch (t->type) {
        case TYPE_BOOL:
                snprintf(ret, size, "yes or no");
                break;
        case TYPE_UNSIGNED:
                snprintf(ret, size, "a number from %" PRIu64 " to %" PRIu64, t->min, t->max);
                break;
        case TYPE_SECONDS:
                snprintf(ret, size, "a time from %s to %s, such as 30s, 5m or 1h",
                         settings_time_text(t->min, low, sizeof(low)),
                         settings_time_text(t->max, high, sizeof(high)));
                break;
        case TYPE_BYTES:
                snprintf(ret, size, "a size from %s to %s, such as 4096, 64K, 16M or 1G",
                         settings_size_text(t->min, low, sizeof(low)),
                         settings_size_text(t->max, high, sizeof(high)));
                break;
        case TYPE_CHOICE:
        case TYPE_LEVEL:
                snprintf(list, sizeof(list), "%s", t->choices);
                for (char *c = list; *c; c++)
                        *c = *c == '|' ? ' ' : *c;
                snprintf(ret, size, "one of: %s%s", list,
                         t->flags & PATH_TOO ? ", or an absolute path" : "");
                break;
        default:
                snprintf(ret, size, "text of %" PRIu64 " to %" PRIu64 " bytes", t->min,
                         t->max ? t->max : SETTINGS_TEXT_MAX - 1);
        }
}

static int take_text(const struct setting *t, char *field, const char *text)
{
        size_t n = strlen(text);

        if (n >= SETTINGS_TEXT_MAX || n < t->min || (t->max && n > t->max))
                return -EINVAL;
        if (t->type == TYPE_CHOICE && !is_choice(t->choices, text) &&
            !(t->flags & PATH_TOO && *text == '/'))
                return -EINVAL;
        if (t->type == TYPE_PATH && n && *text != '/') {
                char dir[SETTINGS_TEXT_MAX];
                size_t at;

                if (!getcwd(dir, sizeof(dir)))
                        return -errno;
                at = strlen(dir);
                if (at + 1 + n >= SETTINGS_TEXT_MAX)
                        return -ENAMETOOLONG;
                memcpy(field, dir, at);
                field[at++] = '/';
                memcpy(field + at, text, n + 1);
                return 0;
        }
        memcpy(field, text, n + 1);
        return 0;
}

static int take_number(const struct setting *t, void *field, const char *text)
{
        uint64_t n = 0;
        int r = t->type == TYPE_BYTES     ? settings_parse_size(text, &n)
                : t->type == TYPE_SECONDS ? settings_parse_time(text, &n)
                                          : settings_parse_number(text, &n);

        if (r < 0)
                return r;
        if (n < t->min || n > t->max)
                return -ERANGE;
        if (t->type == TYPE_BYTES)
                *(uint64_t *)field = n;
        else
                *(unsigned *)field = (unsigned)n;
        return 0;
}

int setting_take(const struct setting *t, struct settings *s, const char *text)
{
        void *field = (char *)s + t->offset;

        switch (t->type) {
        case TYPE_BOOL:
                return parse_bool(text, field);
        case TYPE_LEVEL:
                return log_level_parse(text, field);
        case TYPE_UNSIGNED:
        case TYPE_SECONDS:
        case TYPE_BYTES:
                return take_number(t, field, text);
        default:
                return take_text(t, field, text);
        }
}

int setting_text(const struct setting *t, const struct settings *s, struct buf *ret)
{
        static const char *const levels[] = {"error", "warn", "info", "debug"};
        const void *field = (const char *)s + t->offset;
        char text[32];

        switch (t->type) {
        case TYPE_BOOL:
                return buf_printf(ret, "%s", *(const bool *)field ? "yes" : "no");
        case TYPE_LEVEL:
                return buf_printf(ret, "%s", levels[*(const enum log_level *)field]);
        case TYPE_UNSIGNED:
                return buf_printf(ret, "%u", *(const unsigned *)field);
        case TYPE_SECONDS:
                return buf_printf(ret, "%s",
                                  settings_time_text(*(const unsigned *)field, text, sizeof(text)));
        case TYPE_BYTES:
                return buf_printf(ret, "%s",
                                  settings_size_text(*(const uint64_t *)field, text, sizeof(text)));
        default:
                return buf_printf(ret, "%s", (const char *)field);
        }
}

void setting_default(const struct setting *t, char *ret, size_t size)
{
        if (t->compute)
                t->compute(ret, size);
        else
                snprintf(ret, size, "%s", t->default_text);
}
