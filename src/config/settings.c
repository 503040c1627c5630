/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "base/cleanup.h"
#include "base/distance.h"
#include "base/trust.h"
#include "config/env_file.h"
#include "config/table.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Errors begin with `where`. A value that a source of higher precedence overrides is checked too:
 * otherwise a mistake in the file would show only when the override is removed. */
static int take(struct settings *s, size_t row, const char *text, enum settings_source source,
                const char *where, struct err *err)
{
        struct settings unused;
        bool hidden = s->source[row] > source;
        char allowed[256];

        if (setting_take(&settings_table[row], hidden ? &unused : s, text) < 0) {
                setting_allowed(&settings_table[row], allowed, sizeof(allowed));
                return err_set(err, EINVAL, "%s: invalid value \"%.100s\"; must be %s", where, text,
                               allowed);
        }
        if (!hidden)
                s->source[row] = (uint8_t)source;
        return 0;
}

/* ---- the sources ---- */

void settings_init(struct settings *s)
{
        memset(s, 0, sizeof(*s));
}

size_t settings_options(unsigned verbs, struct option *ret, size_t max)
{
        size_t n = 0;

        for (size_t i = 0; i < settings_rows; i++) {
                if (!(settings_table[i].verbs & verbs))
                        continue;
                assert(n + 1 < max);
                ret[n++] = (struct option){
                        .name = settings_table[i].flag,
                        .has_arg = settings_table[i].type == TYPE_BOOL ? optional_argument
                                                                       : required_argument,
                        .val = SETTINGS_OPTION + (int)i,
                };
        }
        assert(n < max);
        ret[n] = (struct option){0};
        return n;
}

bool settings_is_option(int option)
{
        return option >= SETTINGS_OPTION && option < SETTINGS_OPTION + (int)settings_rows;
}

int settings_take_flag(struct settings *s, int option, const char *value, struct err *err)
{
        size_t row = (size_t)(option - SETTINGS_OPTION);
        char where[64];

        assert(settings_is_option(option));
        snprintf(where, sizeof(where), "--%s", settings_table[row].flag);
        return take(s, row, value ? value : "yes", SETTINGS_FROM_FLAG, where, err);
}

static int take_environment(struct settings *s, size_t row, struct err *err)
{
        const char *value = getenv(settings_table[row].variable);
        char where[96];

        if (!value || !*value)
                return 0;
        snprintf(where, sizeof(where), "%s (environment)", settings_table[row].variable);
        return take(s, row, value, SETTINGS_FROM_ENVIRONMENT, where, err);
}

/* Suggests the most similar setting, at an edit distance of at most two. */
static int refuse_name(const char *name, const char *where, struct err *err)
{
        const char *like = NULL;
        unsigned least = 3;

        for (size_t i = 0; i < settings_rows; i++) {
                unsigned d = word_distance(name, settings_table[i].variable);

                if (d < least) {
                        least = d;
                        like = settings_table[i].variable;
                }
        }
        if (like)
                return err_set(err, EINVAL, "%sunknown setting %.100s; did you mean %s?", where,
                               name, like);
        return err_set(err, EINVAL, "%sunknown setting %.100s; vulcan config lists them", where,
                       name);
}

static int take_line(void *ctx, unsigned line, const char *key, const char *value, struct err *err)
{
        struct settings *s = ctx;
        char where[96];

        /* Row 0 is the file itself. A file must not name another one: their precedence would be
         * unclear. */
        for (size_t i = 1; i < settings_rows; i++) {
                if (strcmp(key, settings_table[i].variable) != 0)
                        continue;
                if (!*value)
                        return 0;
                snprintf(where, sizeof(where), "line %u: %s", line, key);
                s->line[i] = line;
                return take(s, i, value, SETTINGS_FROM_FILE, where, err);
        }
        snprintf(where, sizeof(where), "line %u: ", line);
        if (strcmp(key, settings_table[0].variable) == 0)
                return err_set(err, EINVAL, "%s%s is not allowed in a settings file", where, key);
        return refuse_name(key, where, err);
}

int settings_take_file(struct settings *s, const char *text, size_t size, const char *name,
                       struct err *err)
{
        struct err inner = ERR_INIT;
        int r = env_file_parse(text, size, take_line, s, &inner);

        return r < 0 ? err_set(err, -r, "%s: %s", name, inner.msg) : 0;
}

static int read_file(struct settings *s, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
        int r = trust_read(s->config, &text, err);

        if (r < 0)
                return err_wrap(err, "settings file");
        return settings_take_file(s, text.data ? text.data : "", text.len, s->config, err);
}

int settings_load(struct settings *s, struct err *err)
{
        char value[SETTINGS_TEXT_MAX];
        int r;

        for (size_t i = 0; i < settings_rows; i++)
                if ((r = take_environment(s, i, err)) < 0)
                        return r;
        if (s->config[0] && (r = read_file(s, err)) < 0)
                return r;
        for (size_t i = 0; i < settings_rows; i++) {
                if (s->source[i] != SETTINGS_FROM_DEFAULT)
                        continue;
                setting_default(&settings_table[i], value, sizeof(value));
                if ((r = take(s, i, value, SETTINGS_FROM_DEFAULT, settings_table[i].variable,
                              err)) < 0)
                        return err_wrap(err, "default");
        }
        return 0;
}

/* ---- unknown variables ---- */

/* Variables of the image scripts, of vulcan-vmm and of the tests. */
static bool is_of_another(const char *name)
{
        static const char *const names[] = {"VULCAN_CACHE", "VULCAN_MIRROR", "VULCAN_VMM_ACCEL",
                                            "VULCAN_VMM_QEMU"};
        static const char tests[] = "VULCAN_TEST_";

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return strncmp(name, tests, strlen(tests)) == 0;
}

static bool is_setting(const char *name)
{
        for (size_t i = 0; i < settings_rows; i++)
                if (strcmp(name, settings_table[i].variable) == 0)
                        return true;
        return false;
}

int settings_check_environment(size_t *at, struct err *err)
{
        static const char ours[] = "VULCAN_";
        char name[128];

        for (; environ[*at]; ++*at) {
                const char *pair = environ[*at];

                snprintf(name, sizeof(name), "%.*s", (int)strcspn(pair, "="), pair);
                if (strncmp(name, ours, strlen(ours)) != 0 || is_of_another(name) ||
                    is_setting(name))
                        continue;
                ++*at;
                return refuse_name(name, "environment: ", err);
        }
        return 0;
}

/* ---- listing ---- */

size_t settings_count(void)
{
        return settings_rows;
}

const char *settings_flag(size_t i)
{
        return settings_table[i].flag;
}

const char *settings_variable(size_t i)
{
        return settings_table[i].variable;
}

struct settings_row settings_row(size_t i)
{
        const struct setting *t = &settings_table[i];

        assert(i < settings_rows);
        return (struct settings_row){
                .flag = t->flag,
                .variable = t->variable,
                .value = t->value,
                .help = t->help,
                .default_text = t->default_text,
                .choices = t->choices,
                .is_path = t->type == TYPE_PATH,
                .verbs = t->verbs,
        };
}

size_t settings_find(const char *flag)
{
        size_t i = 0;

        while (i < settings_rows && strcmp(settings_table[i].flag, flag) != 0)
                i++;
        return i;
}

int settings_value_text(const struct settings *s, size_t i, struct buf *ret)
{
        return setting_text(&settings_table[i], s, ret);
}

int settings_default_text(size_t i, struct buf *ret)
{
        char text[SETTINGS_TEXT_MAX];

        setting_default(&settings_table[i], text, sizeof(text));
        return buf_printf(ret, "%s", text);
}

enum settings_source settings_source(const struct settings *s, size_t i)
{
        return (enum settings_source)s->source[i];
}

int settings_source_text(const struct settings *s, size_t i, struct buf *ret)
{
        switch (settings_source(s, i)) {
        case SETTINGS_FROM_FLAG:
                return buf_printf(ret, "flag --%s", settings_table[i].flag);
        case SETTINGS_FROM_ENVIRONMENT:
                return buf_printf(ret, "environment %s", settings_table[i].variable);
        case SETTINGS_FROM_FILE:
                return buf_printf(ret, "%s, line %u", s->config, s->line[i]);
        default:
                return buf_printf(ret, "default");
        }
}

unsigned settings_source_line(const struct settings *s, size_t i)
{
        return settings_source(s, i) == SETTINGS_FROM_FILE ? s->line[i] : 0;
}
