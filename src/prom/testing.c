/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/testing.h"

#include "prom/arena.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value ---------------------------------------------------------------------------- */

struct wanted {
        const char *name;
        const char *const *labels; /* name, value, name, value … */
        size_t n;
        double value;
};

static const char *wanted_value(const struct wanted *wanted, const char *label)
{
        for (size_t i = 0; i + 1 < wanted->n; i += 2)
                if (strcmp(wanted->labels[i], label) == 0)
                        return wanted->labels[i + 1];
        return NULL;
}

/* Constant labels are those that are neither variable nor the label of a state set. */
static bool is_const(const struct prom_view *family, const char *label)
{
        for (size_t i = 0; i < family->n_labels; i++)
                if (strcmp(family->labels[i], label) == 0)
                        return false;
        return strcmp(family->name, label) != 0;
}

static int match(const struct prom_view *family, const struct prom_point *point,
                 const struct prom_sample *sample, void *data)
{
        struct wanted *wanted = data;
        size_t found = 0;
        if (strcmp(sample->name, wanted->name) != 0)
                return 0;
        for (size_t i = 0; i < point->n_labels + (sample->extra != NULL); i++) {
                const bool own = i < point->n_labels;
                const struct prom_label *label = own ? &point->labels[i] : sample->extra;
                const char *value = wanted_value(wanted, label->name);
                if (value ? strcmp(value, label->value) != 0
                          : !own || !is_const(family, label->name))
                        return 0;
                found += value != NULL;
        }
        if (found != wanted->n / 2)
                return 0;
        wanted->value = sample->value;
        return 1;
}

static int match_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        return point ? prom_point_samples(family, point, match, data) : 0;
}

double prom_test_value_of(struct prom_registry *registry, const char *name,
                          const char *const *labels, size_t n)
{
        struct wanted wanted = {name, labels, n, 0};
        if (n % 2 || prom_visit(registry, match_point, &wanted) != 1)
                return (double)NAN;
        return wanted.value;
}

struct count {
        const char *family;
        size_t n;
};

static int count_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        struct count *count = data;
        count->n += point && strcmp(family->name, count->family) == 0;
        return 0;
}

size_t prom_test_count(struct prom_registry *registry, const char *family)
{
        struct count count = {family, 0};
        return prom_visit(registry, count_point, &count) < 0 ? 0 : count.n;
}

/* ---- expositions -------------------------------------------------------------------------- */

struct line {
        const char *text;
        size_t len;
        size_t key_len; /* up to the number; of a comment, the whole line */
};

struct lines {
        struct line *list;
        size_t n, cap;
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r';
}

/* The number follows the last blank: lines have no timestamps here. */
static size_t key_length(const char *text, size_t len)
{
        if (*text == '#')
                return len;
        while (len && !is_blank(text[len - 1]))
                len--;
        while (len && is_blank(text[len - 1]))
                len--;
        return len;
}

static bool add_line(struct lines *lines, const char *text, size_t len)
{
        while (len && is_blank(*text))
                text++, len--;
        while (len && is_blank(text[len - 1]))
                len--;
        if (len == 0 ||
            (*text == '#' && strncmp(text, "# HELP ", 7) != 0 && strncmp(text, "# TYPE ", 7) != 0))
                return true;
        if (!GROW(&lines->list, &lines->cap, lines->n + 1))
                return false;
        lines->list[lines->n++] = (struct line){text, len, key_length(text, len)};
        return true;
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t m)
{
        int order = memcmp(a, b, n < m ? n : m);
        return order ? order : n < m ? -1 : n > m;
}

/* The metric of a line. Lines of a family stay together, with its comments first. */
static size_t name_of(const struct line *line, const char **ret)
{
        *ret = line->text + (*line->text == '#' ? 7 : 0);
        return strcspn(*ret, "{ \t\n");
}

static int compare_keys(const struct line *a, const struct line *b)
{
        const char *name_a, *name_b;
        size_t n = name_of(a, &name_a), m = name_of(b, &name_b);
        int order = compare_bytes(name_a, n, name_b, m);
        return order ? order : compare_bytes(a->text, a->key_len, b->text, b->key_len);
}

static int compare_lines(const void *a, const void *b)
{
        const struct line *x = a, *y = b;
        int order = compare_keys(x, y);
        return order ? order : compare_bytes(x->text, x->len, y->text, y->len);
}

static bool split(const char *text, struct lines *ret)
{
        while (*text) {
                size_t len = strcspn(text, "\n");
                if (!add_line(ret, text, len))
                        return false;
                text += len + (text[len] == '\n');
        }
        if (ret->n)
                qsort(ret->list, ret->n, sizeof(ret->list[0]), compare_lines);
        return true;
}

/* Compares the numbers of two lines with the same key. They use a decimal point in any locale. */
static bool same_number(const struct line *a, const struct line *b, locale_t c)
{
        if (compare_bytes(a->text, a->len, b->text, b->len) == 0)
                return true;
        char *end_a, *end_b;
        double x = strtod_l(a->text + a->key_len, &end_a, c);
        double y = strtod_l(b->text + b->key_len, &end_b, c);
        return end_a == a->text + a->len && end_b == b->text + b->len &&
               (x == y || (isnan(x) && isnan(y)));
}

/* Adds a line of difference; false without memory. */
static bool differ(struct prom_buf *out, char sign, const struct line *line)
{
        if (!out)
                return true;
        if (!GROW(&out->data, &out->cap, out->len + line->len + 4))
                return false;
        out->len += (size_t)sprintf(out->data + out->len, "%c %.*s\n", sign, (int)line->len,
                                    line->text);
        return true;
}

/* Compares two sorted lists. 0, 1 or -ENOMEM. */
static int merge(const struct lines *expected, const struct lines *got, locale_t c,
                 struct prom_buf *out)
{
        const struct line *a = expected->list, *a_end = a + expected->n;
        const struct line *b = got->list, *b_end = b + got->n;
        int r = 0;
        while (a < a_end || b < b_end) {
                int order = a == a_end ? 1 : b == b_end ? -1 : compare_keys(a, b);
                if (order == 0 && same_number(a, b, c)) {
                        a++, b++;
                        continue;
                }
                r = 1;
                if ((order <= 0 && !differ(out, '-', a)) || (order >= 0 && !differ(out, '+', b)))
                        return -ENOMEM;
                a += order <= 0;
                b += order >= 0;
        }
        return r;
}

int prom_test_compare(struct prom_registry *registry, const char *expected,
                      const char *const *names, struct prom_buf *ret_difference)
{
        struct prom_render_options options = {.names = names};
        struct lines wanted = {0}, shown = {0};
        struct prom_buf text = PROM_BUF_INIT;
        while (names && names[options.n_names])
                options.n_names++;
        if (ret_difference)
                ret_difference->len = 0;
        const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        int r = c ? 0 : -ENOMEM;
        if (r == 0)
                r = prom_render(registry, (struct prom_format){PROM_TEXT_0_0_4}, &options, &text);
        if (r == 0 && (!split(expected, &wanted) || !split(text.data, &shown)))
                r = -ENOMEM;
        if (r == 0)
                r = merge(&wanted, &shown, c, ret_difference);
        if (c)
                freelocale(c);
        free(wanted.list);
        free(shown.list);
        prom_buf_release(&text);
        return r;
}
