/* SPDX-License-Identifier: Apache-2.0 */
/* Making a family from its description, and the text of its series. */
#include "prom/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A text under construction; only its length if out is NULL. */
struct text {
        char *out;
        size_t len;
};

static void put(struct text *t, const char *s, size_t n)
{
        if (t->out)
                memcpy(t->out + t->len, s, n);
        t->len += n;
}

static void put_string(struct text *t, const char *s)
{
        put(t, s, strlen(s));
}

/* Escapes backslash and newline, and quotes in label values. */
static void put_escaped(struct text *t, const char *s, bool quotes)
{
        for (; *s; s++) {
                if (*s == '\n')
                        put(t, "\\n", 2);
                else if (*s == '\\' || (*s == '"' && quotes))
                        put(t, (const char[]){'\\', *s}, 2);
                else
                        put(t, s, 1);
        }
}

static char *copy_string(struct prom_family *f, const char *s)
{
        char *copy = prom_arena_get_(&f->arena, strlen(s) + 1);
        return copy ? strcpy(copy, s) : NULL;
}

/* ---- lines of a series -------------------------------------------------------------------- */

enum { LABELS_TEXT_MAX = PROM_LABELS_MAX * (PROM_NAME_MAX + 2 * PROM_LABEL_VALUE_MAX + 4) };

/* name + suffix {labels,le="..."} and a space. */
static void put_line(struct text *t, const struct prom_family *f, const char *suffix,
                     const char *labels, size_t labels_len, const char *le)
{
        put_string(t, f->name);
        put_string(t, suffix);
        if (f->n_slots || le)
                put(t, "{", 1);
        put(t, labels, labels_len);
        if (le) {
                put_string(t, f->n_slots ? ",le=\"" : "le=\"");
                put_string(t, le);
                put(t, "\"", 1);
        }
        if (f->n_slots || le)
                put(t, "}", 1);
        put(t, " ", 1);
}

static void put_line_number(struct text *t, const struct prom_family *f, size_t i,
                            const char *labels, size_t labels_len)
{
        if (f->kind != PROM_HISTOGRAM)
                put_line(t, f, "", labels, labels_len, NULL);
        else if (i <= f->n_buckets)
                put_line(t, f, "_bucket", labels, labels_len, f->le[i]);
        else
                put_line(t, f, i == f->n_buckets + 1 ? "_sum" : "_count", labels, labels_len, NULL);
}

size_t prom_render_lines_(const struct prom_family *family, const char *const *values, char *out,
                          uint32_t *ret_labels_len)
{
        char buffer[LABELS_TEXT_MAX];
        struct text labels = {buffer, 0}, lines = {out, 0};
        for (unsigned i = 0; i < family->n_slots; i++) {
                const struct label_slot *slot = &family->slots[i];
                if (i)
                        put(&labels, ",", 1);
                put_string(&labels, slot->name);
                put(&labels, "=\"", 2);
                if (slot->fixed)
                        put_string(&labels, slot->fixed);
                else
                        put_escaped(&labels, values[slot->index], true);
                put(&labels, "\"", 1);
        }
        for (size_t i = 0; i < family->n_lines; i++)
                put_line_number(&lines, family, i, buffer, labels.len);
        *ret_labels_len = (uint32_t)labels.len;
        return lines.len;
}

/* ---- making a family ---------------------------------------------------------------------- */

static int compare_slots(const void *a, const void *b)
{
        return strcmp(((const struct label_slot *)a)->name, ((const struct label_slot *)b)->name);
}

static bool copy_labels(struct prom_family *f, const struct prom_desc *desc)
{
        const char **labels = prom_arena_get_(&f->arena, sizeof(*labels) * PROM_LABELS_MAX);
        struct label_slot *slots = prom_arena_get_(&f->arena, sizeof(*slots) * PROM_LABELS_MAX);
        if (!labels || !slots)
                return false;
        f->labels = labels;
        f->slots = slots;
        for (; desc->labels && desc->labels[f->n_labels]; f->n_labels++) {
                labels[f->n_labels] = copy_string(f, desc->labels[f->n_labels]);
                if (!labels[f->n_labels])
                        return false;
                slots[f->n_slots++] =
                        (struct label_slot){.name = labels[f->n_labels], .index = f->n_labels};
        }
        for (const struct prom_label *l = desc->const_labels; l && l->name; l++) {
                struct text escaped = {0};
                put_escaped(&escaped, l->value, true);
                escaped.out = prom_arena_get_(&f->arena, escaped.len + 1);
                escaped.len = 0;
                char *name = copy_string(f, l->name), *raw = copy_string(f, l->value);
                if (!escaped.out || !name || !raw)
                        return false;
                put_escaped(&escaped, l->value, true);
                slots[f->n_slots++] = (struct label_slot){name, escaped.out, raw, 0};
        }
        qsort(slots, f->n_slots, sizeof(*slots), compare_slots);
        return true;
}

static bool copy_buckets(struct prom_family *f, const struct prom_desc *desc)
{
        if (f->kind != PROM_HISTOGRAM)
                return true;
        const double *from = prom_desc_buckets_(desc);
        f->n_buckets = prom_desc_n_buckets_(desc);
        f->n_padded = (f->n_buckets + 7) & ~(size_t)7;
        double *bounds = prom_arena_get_(&f->arena, sizeof(*bounds) * (f->n_padded + 1));
        const char **le = prom_arena_get_(&f->arena, sizeof(*le) * (f->n_buckets + 1));
        if (!bounds || !le)
                return false;
        for (size_t i = 0; i < f->n_padded; i++)
                bounds[i] = i < f->n_buckets ? from[i] : (double)INFINITY;
        for (size_t i = 0; i <= f->n_buckets; i++) {
                char number[PROM_NUMBER_MAX + 1];
                double bound = i < f->n_buckets ? from[i] : (double)INFINITY;
                number[prom_format_number(bound, number)] = '\0';
                le[i] = copy_string(f, number);
                if (!le[i])
                        return false;
        }
        f->bounds = bounds;
        f->le = le;
        return true;
}

static bool copy_unit(struct prom_family *f, const struct prom_desc *desc)
{
        f->unit = desc->unit ? copy_string(f, desc->unit) : NULL;
        return !desc->unit || f->unit;
}

static bool copy_states(struct prom_family *f, const struct prom_desc *desc)
{
        if (f->kind != PROM_STATESET)
                return true;
        const char **states = prom_arena_get_(&f->arena, sizeof(*states) * PROM_STATES_MAX);
        if (!states)
                return false;
        f->states = states;
        for (; desc->states[f->n_states]; f->n_states++) {
                states[f->n_states] = copy_string(f, desc->states[f->n_states]);
                if (!states[f->n_states])
                        return false;
        }
        return true;
}

static bool copy_quantiles(struct prom_family *f, const struct prom_desc *desc)
{
        if (f->kind != PROM_SUMMARY)
                return true;
        double *quantiles = prom_arena_get_(&f->arena, sizeof(*quantiles) * PROM_QUANTILES_MAX);
        if (!quantiles)
                return false;
        for (size_t i = 0; i < desc->n_quantiles; i++)
                quantiles[i] = desc->quantiles[i];
        f->quantiles = quantiles;
        f->n_quantiles = desc->n_quantiles;
        f->max_age_ns = (uint64_t)((desc->max_age_s > 0 ? desc->max_age_s : 600) * 1e9);
        return true;
}

static bool make_header(struct prom_family *f, const struct prom_desc *desc)
{
        static const char *const kinds[] = {
                [PROM_COUNTER] = "counter", [PROM_GAUGE] = "gauge", [PROM_HISTOGRAM] = "histogram",
                [PROM_SUMMARY] = "summary", [PROM_INFO] = "gauge",  [PROM_STATESET] = "gauge"};
        struct text t = {0};
        for (int pass = 0; pass < 2; pass++) {
                t.len = 0;
                put_string(&t, "# HELP ");
                put_string(&t, f->name);
                put(&t, " ", 1);
                put_escaped(&t, desc->help, false);
                put_string(&t, "\n# TYPE ");
                put_string(&t, f->name);
                put(&t, " ", 1);
                put_string(&t, kinds[f->kind]);
                put(&t, "\n", 1);
                if (!t.out)
                        t.out = prom_arena_get_(&f->arena, t.len);
                if (!t.out)
                        return false;
        }
        f->header = t.out;
        f->header_len = t.len;
        return true;
}

static bool measure_lines(struct prom_family *f)
{
        f->n_lines = f->kind == PROM_HISTOGRAM ? f->n_buckets + 3 : 1;
        uint32_t *extra = prom_arena_get_(&f->arena, sizeof(*extra) * f->n_lines);
        if (!extra)
                return false;
        for (size_t i = 0; i < f->n_lines; i++) {
                struct text t = {0};
                put_line_number(&t, f, i, NULL, 0);
                extra[i] = (uint32_t)t.len;
        }
        f->line_extra = extra;
        return true;
}

uint64_t prom_family_id_(void)
{
        static uint64_t last_id;
        return ++last_id;
}

int prom_family_new_(const struct prom_desc *desc, struct prom_family **ret,
                     struct prom_error *error)
{
        struct prom_family *f = calloc(1, sizeof(*f));
        if (!f)
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", desc->name);
        f->kind = desc->kind;
        f->id = prom_family_id_();
        f->idle_timeout_ns = (uint64_t)(desc->idle_timeout_s * 1e9);
        f->max_series = desc->max_series ? desc->max_series : PROM_SERIES_DEFAULT;
        f->name = copy_string(f, desc->name);
        f->help = copy_string(f, desc->help);
        if (!f->name || !f->help || !copy_unit(f, desc) || !copy_states(f, desc) ||
            !copy_quantiles(f, desc) || !copy_labels(f, desc) || !copy_buckets(f, desc) ||
            !make_header(f, desc) || !measure_lines(f)) {
                prom_family_free_(f);
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", desc->name);
        }
        *ret = f;
        return 0;
}

static void free_tables(struct prom_family *f)
{
        while (f->table) {
                struct table *older = f->table->older;
                free(f->table);
                f->table = older;
        }
}

void prom_family_free_(struct prom_family *f)
{
        if (!f)
                return;
        while (f->curried) {
                struct prom_family *next = f->curried->next;
                free_tables(f->curried);
                prom_arena_release_(&f->curried->arena);
                free(f->curried);
                f->curried = next;
        }
        unsigned cells = prom_family_cells_(f);
        unsigned float_cell = f->kind == PROM_COUNTER ? COUNTER_FLOAT : HISTOGRAM_SUM;
        for (size_t i = 0; cells && i < f->n_series; i++)
                prom_cells_free_(prom_series_at_(f, i)->pub.cell, cells, float_cell);
        for (size_t i = 0; i < SERIES_BLOCKS_MAX; i++)
                free(f->blocks[i]);
        free_tables(f);
        prom_arena_release_(&f->arena);
        free(f);
}
