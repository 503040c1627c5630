/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/layout.h"

#include "prom/arena.h"
#include "prom/escape.h"
#include "prom/grace.h"
#include "prom/locks.h"
#include "prom/table.h"

#include <math.h>
#include <stdlib.h>

/* Copies a text into the family's memory, followed by at least one NUL; NULL without memory. */
static char *keep(const struct layout *l, const struct text *t)
{
        char *copy = prom_arena_get_(&l->family->arena, t->len + 1);
        return copy ? memcpy(copy, t->out, t->len) : NULL;
}

/* ---- the lines of a series, by kind ------------------------------------------------------- */

size_t prom_one_line_(const struct layout *l)
{
        return 1;
}

size_t prom_bucket_lines_(const struct layout *l)
{
        const struct prom_family *f = l->family;
        /* OpenMetrics forbids the sum, and with it the count, if a bound is negative. */
        const bool sum = !l->ops->open || f->n_buckets == 0 || f->bounds[0] >= 0;
        return f->n_buckets + 1 + (sum ? 2 : 0);
}

size_t prom_quantile_lines_(const struct layout *l)
{
        return l->family->n_quantiles + 2;
}

size_t prom_state_lines_(const struct layout *l)
{
        return l->family->n_states;
}

static void set_bound(const struct layout *l, struct line *line, const char *label, double bound)
{
        line->number[l->ops->format_bound(bound, line->number)] = '\0';
        line->label = label;
        line->value = line->number;
}

void prom_describe_one_(const struct layout *l, size_t i, struct line *line)
{
        if (l->ops->open)
                line->suffix = l->family->ops->open_suffix;
}

void prom_describe_bucket_(const struct layout *l, size_t i, struct line *line)
{
        const size_t n = l->family->n_buckets;
        if (i <= n) {
                line->suffix = "_bucket";
                set_bound(l, line, "le", i < n ? l->family->bounds[i] : (double)INFINITY);
        } else {
                line->suffix = i == n + 1 ? "_sum" : "_count";
        }
}

void prom_describe_quantile_(const struct layout *l, size_t i, struct line *line)
{
        const size_t n = l->family->n_quantiles;
        if (i < n)
                set_bound(l, line, "quantile", l->family->quantiles[i]);
        else
                line->suffix = i == n ? "_sum" : "_count";
}

void prom_describe_state_(const struct layout *l, size_t i, struct line *line)
{
        line->label = l->state_label;
        line->value = l->family->states[i];
}

static bool make_line(struct layout *l, size_t i, const char *name)
{
        char before[2 * (ESCAPED_NAME_MAX + sizeof("_created")) + 8];
        char after[2 * (ESCAPED_NAME_MAX + PROM_LABEL_VALUE_MAX) + 40];
        struct text prefix = {before, 0}, suffix = {after, 0};
        struct line_part *part = &l->parts[i];
        struct line line = {.suffix = ""};
        if (i == l->n_lines)
                line.suffix = "_created";
        else
                l->family->ops->describe_line(l, i, &line);
        l->ops->put_line(&prefix, &suffix, l->family, name, &line);
        *part = (struct line_part){.prefix = keep(l, &prefix),
                                   .suffix = keep(l, &suffix),
                                   .prefix_len = (uint32_t)prefix.len,
                                   .suffix_len = (uint32_t)suffix.len};
        l->part_lens[i] = (uint32_t)part_len(part);
        return part->prefix && part->suffix;
}

static bool make_lines(struct layout *l, const char *name)
{
        l->n_lines = l->family->ops->n_lines(l);
        const size_t n =
                l->n_lines + (l->ops->open && prom_kind_has_(l->family->ops, KIND_CREATED));
        l->parts = prom_arena_get_(&l->family->arena, sizeof(*l->parts) * n);
        l->part_lens = prom_arena_get_(&l->family->arena, sizeof(*l->part_lens) * n);
        if (!l->parts || !l->part_lens)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!make_line(l, i, name))
                        return false;
                l->parts_len += i < l->n_lines ? l->part_lens[i] : 0;
        }
        return true;
}

/* ---- header and label names --------------------------------------------------------------- */

static bool make_header(struct layout *l, const char *name)
{
        char out[2 * PROM_HELP_MAX + 3 * (2 * ESCAPED_NAME_MAX + PROM_UNIT_MAX + 32)];
        struct text t = {out, 0};
        l->ops->put_header(&t, l->family, name);
        l->header = keep(l, &t);
        l->header_len = t.len;
        return l->header != NULL;
}

static bool make_label_names(struct layout *l)
{
        struct prom_family *f = l->family;
        char escaped[ESCAPED_NAME_MAX + 1], out[2 * ESCAPED_NAME_MAX + 3] = "";
        l->label_names = prom_arena_get_(&f->arena, sizeof(*l->label_names) * (f->n_slots + 1));
        for (unsigned i = 0; l->label_names && i < f->n_slots; i++) {
                struct text t = {out, 0};
                prom_escape_name_(f->slots[i].name, l->escaping, true, escaped);
                l->ops->put_name(&t, escaped, true);
                l->label_names[i] = keep(l, &t);
                if (!l->label_names[i])
                        return false;
        }
        return l->label_names != NULL;
}

/* ---- series ------------------------------------------------------------------------------- */

/* Writes the labels with these values, at most LABELS_TEXT_MAX bytes. Returns the length. */
static size_t put_labels(const struct layout *l, const char *values, char *out)
{
        const struct prom_family *f = l->family;
        const char *by_index[PROM_LABELS_MAX];
        struct text t = {out, 0};
        for (unsigned i = 0; i < f->n_labels; i++) {
                by_index[i] = values;
                values += strlen(values) + 1;
        }
        for (unsigned i = 0; i < f->n_slots; i++) {
                const struct label_slot *slot = &f->slots[i];
                l->ops->put_label(&t, i, l->label_names[i],
                                  slot->raw ? slot->raw : by_index[slot->index]);
        }
        return t.len;
}

/* At least 1, as a series without labels has an empty message text. */
static size_t text_size(const struct layout *l, size_t labels_len)
{
        return 1 + (l->ops->lines ? l->parts_len + l->n_lines * labels_len : labels_len);
}

/* Writes less than text_size() bytes. */
static void put_series(const struct layout *l, const char *labels, size_t labels_len, char *out)
{
        struct text t = {out, 0};
        if (!l->ops->lines)
                text_put(&t, labels, labels_len);
        for (size_t i = 0; l->ops->lines && i < l->n_lines; i++) {
                text_put(&t, l->parts[i].prefix, l->parts[i].prefix_len);
                text_put(&t, labels, labels_len);
                text_put(&t, l->parts[i].suffix, l->parts[i].suffix_len);
        }
}

bool prom_layout_text_(const struct layout *l, const char *values, char *labels, char **buffer,
                       size_t *cap, struct series_text *ret)
{
        const size_t len = put_labels(l, values, labels);
        if (!GROW(buffer, cap, text_size(l, len)))
                return false;
        put_series(l, labels, len, *buffer);
        *ret = (struct series_text){.text = *buffer, .labels_len = (uint32_t)len};
        return true;
}

/* Room for n bytes in place of the present text, if there is one. A longer text gets twice the room
 * of the one before it, as the arena cannot take that back. NULL without memory. */
static char *text_room(const struct layout *l, struct series_text *text, size_t n)
{
        if (text->room >= n)
                return text->text;
        if (n < 2 * (size_t)text->room)
                n = 2 * (size_t)text->room;
        char *room = prom_arena_get_(&l->family->arena, n);
        if (!room)
                return NULL;
        text->text = room;
        text->room = (uint32_t)n & INT32_MAX;
        return room;
}

/* With table_lock held. */
static bool make_series(const struct layout *l, const struct prom_series *series,
                        struct series_text *ret, char *labels)
{
        const size_t len = put_labels(l, series->key->values, labels);
        char *out = text_room(l, ret, text_size(l, len));
        if (!out)
                return false;
        put_series(l, labels, len, out);
        ret->labels_len = (uint32_t)len;
        return true;
}

/* With table_lock held. */
static bool extend(struct layout *l, size_t n, char *labels)
{
        size_t i = l->n_series, at;
        for (; i < n; i++) {
                const struct prom_series *series = prom_series_at_(l->family, i);
                const unsigned block = prom_block_of_(l->family, i, &at);
                if (!l->blocks[block])
                        l->blocks[block] = calloc(prom_block_size_(l->family, block),
                                                  sizeof(*l->blocks[block]));
                if (!l->blocks[block] || !make_series(l, series, &l->blocks[block][at], labels))
                        break;
        }
        STORE_RELEASE(&l->n_series, i); /* pairs with the acquire in prom_layout_extend_() */
        return i >= n;                  /* another scrape may have come further */
}

static struct series_text *text_at(const struct layout *l, size_t i)
{
        size_t at;
        const unsigned block = prom_block_of_(l->family, i, &at);
        return &l->blocks[block][at];
}

/* With table_lock held. */
static bool renew_stale(struct layout *l, char *labels)
{
        /* No scrape reads these texts now; see layout.h. */
        grace_begin_writing();
        for (size_t i = 0; l->n_stale > 0 && i < l->n_series; i++) {
                struct series_text *text = text_at(l, i);
                if (!text->stale)
                        continue;
                if (!make_series(l, prom_series_at_(l->family, i), text, labels))
                        return false;
                text->stale = false;
                STORE(&l->n_stale, l->n_stale - 1);
        }
        return true;
}

bool prom_layout_extend_(struct layout *l, size_t n, char *labels)
{
        bool ok = true;
        if (unlikely(LOAD_ACQUIRE(&l->n_stale) > 0)) {
                pthread_mutex_lock(&prom_table_lock_);
                ok = renew_stale(l, labels);
                pthread_mutex_unlock(&prom_table_lock_);
        }
        /* In batches, so that look-ups of new series need not wait for all of them. */
        for (size_t have; ok && (have = LOAD_ACQUIRE(&l->n_series)) < n;) {
                pthread_mutex_lock(&prom_table_lock_);
                have = l->n_series > have ? l->n_series : have;
                ok = extend(l, n < have + SUM_BATCH ? n : have + SUM_BATCH, labels);
                pthread_mutex_unlock(&prom_table_lock_);
        }
        return ok;
}

/* ---- layouts ------------------------------------------------------------------------------ */

/* With table_lock held. */
static struct layout *make(struct prom_family *family, const struct layout_ops *ops,
                           enum prom_escaping escaping)
{
        char name[ESCAPED_NAME_MAX + 1];
        struct layout *l = prom_arena_get_(&family->arena, sizeof(*l));
        if (!l)
                return NULL;
        l->family = family;
        l->ops = ops;
        l->escaping = escaping;
        prom_escape_name_(family->name, escaping, true, name);
        l->state_label = keep(l, &(struct text){name, strlen(name) + 1});
        if (ops->open)
                strcpy(name, family->open_names[escaping]);
        else
                prom_escape_name_(family->name, escaping, false, name);
        if (!l->state_label || !make_header(l, name) || !make_label_names(l) ||
            !make_lines(l, name))
                return NULL;
        return l;
}

struct layout *prom_layout_(struct prom_family *family, const struct layout_ops *ops,
                            enum prom_escaping escaping)
{
        if (family->legacy_names) /* the same in all escapings: one layout serves them */
                escaping = PROM_ESCAPE_UNDERSCORES;
        struct layout **slot = &family->layouts[ops->dialect][escaping];
        struct layout *l = LOAD_ACQUIRE(slot);
        if (likely(l))
                return l;
        pthread_mutex_lock(&prom_table_lock_);
        if (!*slot) /* pairs with the acquire above: who sees the pointer sees the layout */
                STORE_RELEASE(slot, make(family, ops, escaping));
        l = *slot;
        pthread_mutex_unlock(&prom_table_lock_);
        return l;
}

static struct layout *layout_number(const struct prom_family *family, unsigned i)
{
        return family->layouts[i / N_ESCAPINGS][i % N_ESCAPINGS];
}

void prom_layouts_stale_(struct prom_series *series)
{
        for (unsigned i = 0; i < N_DIALECTS * N_ESCAPINGS; i++) {
                struct layout *l = layout_number(series->family, i);
                if (!l || series->cold->index >= l->n_series)
                        continue;
                struct series_text *text = text_at(l, series->cold->index);
                if (!text->stale)
                        STORE_RELEASE(&l->n_stale, l->n_stale + 1);
                text->stale = true;
        }
}

void prom_layouts_free_(struct prom_family *family)
{
        for (unsigned i = 0; i < N_DIALECTS * N_ESCAPINGS; i++) {
                const struct layout *l = layout_number(family, i);
                for (unsigned block = 0; l && block < SERIES_BLOCKS_MAX; block++)
                        free(l->blocks[block]);
        }
}
