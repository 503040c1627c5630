/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conventions of https://prometheus.io/docs/practices/naming/ and the checks of promlint
 * (github.com/prometheus/client_golang/prometheus/testutil/promlint).
 */
#include "prom/escape.h"
#include "prom/family.h"
#include "prom/testing.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PROBLEM_MAX = 256 };

struct lint {
        struct prom_registry *registry;
        prom_lint_fn *callback;
        void *data;
        const char *metric;
        int n;
};

static void problem(struct lint *lint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct lint *lint, const char *fmt, ...)
{
        char text[PROBLEM_MAX];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        lint->n++;
        if (lint->callback)
                lint->callback(lint->metric, text, lint->data);
}

/* ---- words of a name ---------------------------------------------------------------------- */

/* The next word of a name, between underscores, at *p; false at the end. */
static bool next_word(const char **p, const char **ret_word, size_t *ret_len)
{
        if (!*p)
                return false;
        *ret_word = *p;
        *ret_len = strcspn(*p, "_");
        *p = (*p)[*ret_len] ? *p + *ret_len + 1 : NULL;
        return true;
}

static bool is_word(const char *word, size_t len, const char *other)
{
        return strlen(other) == len && memcmp(word, other, len) == 0;
}

static bool is_word_in_any_case(const char *word, size_t len, const char *other)
{
        return strlen(other) == len && strncasecmp(word, other, len) == 0;
}

static bool ends_with(const char *name, const char *suffix)
{
        size_t n = strlen(name), k = strlen(suffix);
        return n >= k && strcmp(name + n - k, suffix) == 0;
}

static bool is_camel(const char *name)
{
        for (const char *p = name; *p; p++)
                if (p[0] >= 'a' && p[0] <= 'z' && p[1] >= 'A' && p[1] <= 'Z')
                        return true;
        return false;
}

/* ---- units -------------------------------------------------------------------------------- */

static const struct unit {
        const char *name, *base;
} units[] = {
        {"amperes", "amperes"}, {"bytes", "bytes"},        {"celsius", "celsius"},
        {"grams", "grams"},     {"joules", "joules"},      {"kelvin", "kelvin"},
        {"meters", "meters"},   {"metres", "metres"},      {"moles", "moles"},
        {"seconds", "seconds"}, {"volts", "volts"},        {"minutes", "seconds"},
        {"hours", "seconds"},   {"days", "seconds"},       {"weeks", "seconds"},
        {"kelvins", "kelvin"},  {"fahrenheit", "celsius"}, {"rankine", "celsius"},
        {"inches", "meters"},   {"yards", "meters"},       {"miles", "meters"},
        {"bits", "bytes"},      {"calories", "joules"},    {"pounds", "grams"},
        {"ounces", "grams"},
};

static const char *const prefixes[] = {"pico",  "nano", "micro", "milli", "centi", "deci", "deca",
                                       "hecto", "kilo", "kibi",  "mega",  "mibi",  "mebi", "giga",
                                       "gibi",  "tera", "tebi",  "peta",  "pebi"};

static const char *const abbreviations[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                            "mb", "gb", "tb", "pb", "m",   "h", "d"};

/* The base unit for a word that is a unit, with or without a prefix; NULL for other words. */
static const char *base_unit(const char *word, size_t len)
{
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                const char *unit = units[i].name;
                const size_t n = strlen(unit);
                if (len < n || memcmp(word + len - n, unit, n) != 0)
                        continue;
                if (len == n)
                        return units[i].base;
                for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++)
                        if (is_word(word, len - n, prefixes[p]))
                                return units[i].base;
        }
        return NULL;
}

static void lint_units(struct lint *lint, const struct prom_view *family)
{
        const char *p = family->name, *word;
        size_t len;
        while (next_word(&p, &word, &len)) {
                const char *base = base_unit(word, len);
                if (base && !is_word(word, len, base)) {
                        problem(lint, "use base unit \"%s\" instead of \"%.*s\"", base, (int)len,
                                word);
                        break;
                }
        }
        p = family->name;
        next_word(&p, &word, &len); /* the first word is not a unit */
        while (next_word(&p, &word, &len)) {
                for (size_t i = 0; i < sizeof(abbreviations) / sizeof(abbreviations[0]); i++) {
                        if (!is_word_in_any_case(word, len, abbreviations[i]))
                                continue;
                        problem(lint, "metric names should not contain abbreviated units");
                        return;
                }
        }
}

static void lint_declared_unit(struct lint *lint, const struct prom_view *family)
{
        const char *unit = family->unit;
        if (!unit || strcmp(unit, "ratio") == 0)
                return;
        const char *base = base_unit(unit, strlen(unit));
        if (!base)
                problem(lint, "unit \"%s\" is not a base unit", unit);
}

/* ---- kinds -------------------------------------------------------------------------------- */

static void lint_suffixes(struct lint *lint, const struct prom_view *family)
{
        const enum prom_kind kind = family->kind;
        const char *name = family->name;
        const bool summed = kind == PROM_HISTOGRAM || kind == PROM_SUMMARY;
        if (kind == PROM_COUNTER && !ends_with(name, "_total"))
                problem(lint, "counter metrics should have \"_total\" suffix");
        if (kind != PROM_COUNTER && ends_with(name, "_total"))
                problem(lint, "non-counter metrics should not have \"_total\" suffix");
        if (kind != PROM_HISTOGRAM && ends_with(name, "_bucket"))
                problem(lint, "non-histogram metrics should not have \"_bucket\" suffix");
        if (!summed && ends_with(name, "_count"))
                problem(lint, "non-histogram and non-summary metrics should not have \"_count\" "
                              "suffix");
        if (!summed && ends_with(name, "_sum"))
                problem(lint, "non-histogram and non-summary metrics should not have \"_sum\" "
                              "suffix");
        if (ends_with(name, "_created"))
                problem(lint, "metrics should not have \"_created\" suffix");
}

static void lint_label(struct lint *lint, enum prom_kind kind, const char *label)
{
        if (kind != PROM_HISTOGRAM && strcmp(label, "le") == 0)
                problem(lint, "non-histogram metrics should not have \"le\" label");
        if (kind != PROM_SUMMARY && strcmp(label, "quantile") == 0)
                problem(lint, "non-summary metrics should not have \"quantile\" label");
        if (!prom_is_legacy_name_(label, true))
                problem(lint,
                        "label names should consist of [a-zA-Z0-9_] and not begin with a digit");
        if (is_camel(label))
                problem(lint, "label names should be written in 'snake_case' not 'camelCase'");
}

/* A view lacks constant labels, so this reads the slots of the family. */
static void lint_labels(struct lint *lint, const struct prom_view *view)
{
        const struct prom_family *family = prom_registry_find(lint->registry, view->name);
        for (size_t i = 0; family && i < family->n_slots; i++)
                lint_label(lint, view->kind, family->slots[i].name);
        if (view->kind == PROM_STATESET)
                lint_label(lint, view->kind, view->name);
}

static void lint_name(struct lint *lint, const struct prom_view *family)
{
        static const char *const kinds[] = {"counter", "gauge", "histogram", "summary"};
        const char *p = family->name, *word;
        size_t len;
        next_word(&p, &word, &len); /* skip the first word: gauge_readings_total is about gauges */
        while (next_word(&p, &word, &len)) {
                for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                        if (is_word_in_any_case(word, len, kinds[i]))
                                problem(lint, "metric name should not include type '%s'", kinds[i]);
        }
        if (!prom_is_legacy_name_(family->name, false))
                problem(lint,
                        "metric names should consist of [a-zA-Z0-9_] and not begin with a digit");
        if (strchr(family->name, ':'))
                problem(lint, "metric names should not contain ':'");
        if (is_camel(family->name))
                problem(lint, "metric names should be written in 'snake_case' not 'camelCase'");
}

static int lint_family(const struct prom_view *family, const struct prom_point *point, void *data)
{
        struct lint *lint = data;
        if (point)
                return 0;
        lint->metric = family->name;
        if (!*family->help)
                problem(lint, "no help text");
        lint_units(lint, family);
        lint_declared_unit(lint, family);
        lint_suffixes(lint, family);
        lint_labels(lint, family);
        lint_name(lint, family);
        return 0;
}

int prom_lint(struct prom_registry *registry, prom_lint_fn *callback, void *data)
{
        struct lint lint = {.registry = registry, .callback = callback, .data = data};
        int r = prom_visit(registry, lint_family, &lint);
        return r < 0 ? r : lint.n;
}
