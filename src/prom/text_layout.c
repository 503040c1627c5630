/* SPDX-License-Identifier: Apache-2.0 */
/* The text format and OpenMetrics: headers, names, labels, and lines without their numbers. */
#include "prom/escape.h"
#include "prom/layout.h"
#include "prom/number.h"

/* Escapes backslash and newline, and the double quote if asked. */
static void put_escaped(struct text *t, const char *s, bool quotes)
{
        for (; *s; s++) {
                if (*s == '\n')
                        text_put(t, "\\n", 2);
                else if (*s == '\\' || (*s == '"' && quotes))
                        text_put(t, (const char[]){'\\', *s}, 2);
                else
                        text_put(t, s, 1);
        }
}

static void put_quoted(struct text *t, const char *s)
{
        text_put(t, "\"", 1);
        put_escaped(t, s, true);
        text_put(t, "\"", 1);
}

/* In quotes unless every scraper knows it without. */
static void put_name(struct text *t, const char *name, bool label)
{
        if (prom_is_legacy_name_(name, label))
                text_put_string(t, name);
        else
                put_quoted(t, name);
}

static void put_label(struct text *t, size_t i, const char *name, const char *value)
{
        if (i)
                text_put(t, ",", 1);
        text_put_string(t, name);
        text_put(t, "=", 1);
        put_quoted(t, value);
}

/* A quoted name goes into the braces: {"http.status",code="200"} 1. */
static void put_line(struct text *prefix, struct text *suffix, const struct prom_family *family,
                     const char *name, const struct line *line)
{
        char full[ESCAPED_NAME_MAX + sizeof("_created")];
        const bool labels = family->n_slots > 0;
        strcpy(stpcpy(full, name), line->suffix);
        const bool quoted = !prom_is_legacy_name_(full, false);
        if (quoted)
                text_put(prefix, "{", 1);
        put_name(prefix, full, false);
        if (quoted ? labels : labels || line->label)
                text_put(prefix, quoted ? "," : "{", 1);
        if (line->label) {
                if (quoted || labels)
                        text_put(suffix, ",", 1);
                put_name(suffix, line->label, true);
                text_put(suffix, "=", 1);
                put_quoted(suffix, line->value);
        }
        if (quoted || labels || line->label)
                text_put(suffix, "}", 1);
        text_put(suffix, " ", 1);
}

/* ---- headers ------------------------------------------------------------------------------ */

/* "# TYPE name value" */
static void put_comment(struct text *t, const char *word, const char *name, const char *value)
{
        text_put_string(t, word);
        put_name(t, name, false);
        text_put(t, " ", 1);
        text_put_string(t, value);
        text_put(t, "\n", 1);
}

static void put_help(struct text *t, const char *name, const char *help, bool quotes)
{
        text_put_string(t, "# HELP ");
        put_name(t, name, false);
        text_put(t, " ", 1);
        put_escaped(t, help, quotes);
        text_put(t, "\n", 1);
}

static void put_text_header(struct text *t, const struct prom_family *family, const char *name)
{
        put_help(t, name, family->help, false);
        put_comment(t, "# TYPE ", name, family->ops->text_type);
}

static bool ends_with_unit(const char *name, const char *unit)
{
        const size_t n = strlen(name), m = strlen(unit);
        return n > m + 1 && name[n - m - 1] == '_' && strcmp(name + n - m, unit) == 0;
}

static void put_openmetrics_header(struct text *t, const struct prom_family *family,
                                   const char *name)
{
        put_help(t, name, family->help, true);
        put_comment(t, "# TYPE ", name, family->ops->open_type);
        /* An escaped name may no longer end with the unit; then OpenMetrics allows no UNIT. */
        if (family->unit && ends_with_unit(name, family->unit))
                put_comment(t, "# UNIT ", name, family->unit);
}

const struct layout_ops prom_text_layout_ = {
        .dialect = DIALECT_TEXT,
        .lines = true,
        .format_bound = prom_format_bound_,
        .put_name = put_name,
        .put_header = put_text_header,
        .put_label = put_label,
        .put_line = put_line,
};

const struct layout_ops prom_openmetrics_layout_ = {
        .dialect = DIALECT_OPENMETRICS,
        .lines = true,
        .open = true,
        .format_bound = prom_format_canonical_,
        .put_name = put_name,
        .put_header = put_openmetrics_header,
        .put_label = put_label,
        .put_line = put_line,
};
