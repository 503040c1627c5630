/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a family looks like in one dialect: its header, and the lines of its series without their
 * numbers. Made when a scrape first asks for them, kept as long as the family.
 */
#include "prom/grace.h"
#include "prom/render.h"
#include "prom/table.h"

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

/* Escapes backslash and newline, and quotes. */
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

/* A name as it is written; in quotes if it is not what all scrapers know. */
static void put_name(struct text *t, const char *name, bool label)
{
        if (prom_is_legacy_name_(name, label)) {
                put_string(t, name);
                return;
        }
        put(t, "\"", 1);
        put_escaped(t, name, true);
        put(t, "\"", 1);
}

/* The field of a message that holds n bytes. */
static void put_field(struct text *t, unsigned field, const char *bytes, size_t n)
{
        char head[2 * PROTO_VARINT_MAX], *p = prom_proto_varint_(head, field << 3 | PROTO_BYTES);
        p = prom_proto_varint_(p, n);
        put(t, head, (size_t)(p - head));
        put(t, bytes, n);
}

/* Field Metric.label: {name = 1, value = 2}. */
static void put_label_pair(struct text *t, const char *name, const char *value)
{
        struct text length = {0};
        char head[2 * PROTO_VARINT_MAX], *p = prom_proto_varint_(head, 1 << 3 | PROTO_BYTES);
        put_field(&length, 1, name, strlen(name));
        put_field(&length, 2, value, strlen(value));
        p = prom_proto_varint_(p, length.len);
        put(t, head, (size_t)(p - head));
        put_field(t, 1, name, strlen(name));
        put_field(t, 2, value, strlen(value));
}

/* Copies a text into the family's memory, with room to overshoot; NULL without memory. */
static char *keep(const struct rendering *r, const struct text *t)
{
        char *copy = prom_arena_get_(&r->family->arena, t->len + 1);
        return copy ? memcpy(copy, t->out, t->len) : NULL;
}

/* ---- names -------------------------------------------------------------------------------- */

static void cut_suffix(char *name, const char *suffix)
{
        const size_t n = strlen(name), m = strlen(suffix);
        if (n > m && strcmp(name + n - m, suffix) == 0)
                name[n - m] = '\0';
}

void prom_open_name_(const struct prom_family *family, enum prom_escaping escaping,
                     char out[ESCAPED_NAME_MAX + 1])
{
        prom_escape_name_(family->name, escaping, false, out);
        if (family->kind == PROM_COUNTER)
                cut_suffix(out, "_total");
        else if (family->kind == PROM_INFO)
                cut_suffix(out, "_info");
}

static bool ends_with_unit(const char *name, const char *unit)
{
        const size_t n = strlen(name), m = strlen(unit);
        return n > m + 1 && name[n - m - 1] == '_' && strcmp(name + n - m, unit) == 0;
}

/* ---- header ------------------------------------------------------------------------------- */

static void put_header_line(struct text *t, const char *word, const char *name, const char *value)
{
        put_string(t, word);
        put_name(t, name, false);
        put(t, " ", 1);
        put_string(t, value);
        put(t, "\n", 1);
}

static void put_text_header(struct text *t, const struct rendering *r, const char *name)
{
        static const char *const kinds[][2] = {
                [PROM_COUNTER] = {"counter", "counter"},
                [PROM_GAUGE] = {"gauge", "gauge"},
                [PROM_HISTOGRAM] = {"histogram", "histogram"},
                [PROM_SUMMARY] = {"summary", "summary"},
                [PROM_INFO] = {"gauge", "info"},
                [PROM_STATESET] = {"gauge", "stateset"},
        };
        const bool open = r->dialect == DIALECT_OPENMETRICS;
        put_string(t, "# HELP ");
        put_name(t, name, false);
        put(t, " ", 1);
        put_escaped(t, r->family->help, open);
        put(t, "\n", 1);
        put_header_line(t, "# TYPE ", name, kinds[r->family->kind][open]);
        if (open && r->family->unit && ends_with_unit(name, r->family->unit))
                put_header_line(t, "# UNIT ", name, r->family->unit);
}

/* MetricFamily: name = 1, help = 2, type = 3, unit = 5. */
static void put_proto_header(struct text *t, const struct rendering *r, const char *name)
{
        static const char types[] = {
                [PROM_COUNTER] = 0,   [PROM_GAUGE] = 1, [PROM_SUMMARY] = 2,
                [PROM_HISTOGRAM] = 4, [PROM_INFO] = 1,  [PROM_STATESET] = 1,
        };
        put_field(t, 1, name, strlen(name));
        put_field(t, 2, r->family->help, strlen(r->family->help));
        put(t, (const char[]){3 << 3 | PROTO_VARINT, types[r->family->kind]}, 2);
        if (r->family->unit)
                put_field(t, 5, r->family->unit, strlen(r->family->unit));
}

static bool make_header(struct rendering *r, const char *name)
{
        char out[2 * PROM_HELP_MAX + 3 * (2 * ESCAPED_NAME_MAX + PROM_UNIT_MAX + 32)];
        struct text t = {out, 0};
        if (r->dialect == DIALECT_PROTOBUF)
                put_proto_header(&t, r, name);
        else
                put_text_header(&t, r, name);
        r->header = keep(r, &t);
        r->header_len = t.len;
        return r->header != NULL;
}

/* ---- lines -------------------------------------------------------------------------------- */

/* What tells a line of a series from its others. */
struct line {
        const char *suffix; /* of the name */
        const char *label;  /* one label more; NULL for none */
        const char *value;
        char number[PROM_NUMBER_MAX + 1];
};

static bool has_created(const struct rendering *r)
{
        const enum prom_kind kind = r->family->kind;
        return r->dialect == DIALECT_OPENMETRICS &&
               (kind == PROM_COUNTER || kind == PROM_HISTOGRAM || kind == PROM_SUMMARY);
}

static void set_bound(const struct rendering *r, struct line *line, const char *label, double bound)
{
        const bool open = r->dialect == DIALECT_OPENMETRICS;
        size_t n = open ? prom_format_canonical_(bound, line->number)
                        : prom_format_bound_(bound, line->number);
        line->number[n] = '\0';
        line->label = label;
        line->value = line->number;
}

/* OpenMetrics forbids sum and count of a histogram with negative bounds: see also text.c. */
static bool has_sum(const struct rendering *r)
{
        const struct prom_family *f = r->family;
        return r->dialect != DIALECT_OPENMETRICS || f->kind != PROM_HISTOGRAM ||
               f->n_buckets == 0 || f->bounds[0] >= 0;
}

static size_t count_lines(const struct rendering *r)
{
        const struct prom_family *f = r->family;
        switch (f->kind) {
        case PROM_HISTOGRAM:
                return f->n_buckets + 1 + (has_sum(r) ? 2 : 0);
        case PROM_SUMMARY:
                return f->n_quantiles + 2;
        case PROM_STATESET:
                return f->n_states;
        case PROM_COUNTER:
        case PROM_GAUGE:
        case PROM_INFO:
                break;
        }
        return 1;
}

/* Line number i; the one past the last is that of the time of creation. */
static void describe_line(const struct rendering *r, size_t i, struct line *line)
{
        const struct prom_family *f = r->family;
        const bool open = r->dialect == DIALECT_OPENMETRICS;
        *line = (struct line){.suffix = ""};
        if (i == r->n_lines) {
                line->suffix = "_created";
        } else if (f->kind == PROM_COUNTER) {
                line->suffix = open ? "_total" : "";
        } else if (f->kind == PROM_INFO) {
                line->suffix = open ? "_info" : "";
        } else if (f->kind == PROM_STATESET) {
                line->label = r->state_label;
                line->value = f->states[i];
        } else if (f->kind == PROM_HISTOGRAM && i <= f->n_buckets) {
                line->suffix = "_bucket";
                set_bound(r, line, "le", i < f->n_buckets ? f->bounds[i] : (double)INFINITY);
        } else if (f->kind == PROM_SUMMARY && i < f->n_quantiles) {
                set_bound(r, line, "quantile", f->quantiles[i]);
        } else if (f->kind == PROM_HISTOGRAM || f->kind == PROM_SUMMARY) {
                size_t sum = f->kind == PROM_HISTOGRAM ? f->n_buckets + 1 : f->n_quantiles;
                line->suffix = i == sum ? "_sum" : "_count";
        }
}

/* What stands before and behind the labels of the series. */
static bool make_line(struct rendering *r, struct line_part *part, const char *name,
                      const struct line *line)
{
        char full[ESCAPED_NAME_MAX + sizeof("_created")];
        char before[2 * sizeof(full) + 8];
        char behind[2 * (ESCAPED_NAME_MAX + PROM_LABEL_VALUE_MAX) + 16];
        struct text prefix = {before, 0}, suffix = {behind, 0};
        const bool labels = r->family->n_slots > 0;
        strcpy(stpcpy(full, name), line->suffix);
        const bool quoted = !prom_is_legacy_name_(full, false);
        if (quoted)
                put(&prefix, "{", 1);
        put_name(&prefix, full, false);
        if (quoted ? labels : labels || line->label)
                put(&prefix, quoted ? "," : "{", 1);
        if (line->label) {
                if (quoted || labels)
                        put(&suffix, ",", 1);
                put_name(&suffix, line->label, true);
                put(&suffix, "=\"", 2);
                put_escaped(&suffix, line->value, true);
                put(&suffix, "\"", 1);
        }
        if (quoted || labels || line->label)
                put(&suffix, "}", 1);
        put(&suffix, " ", 1);
        *part = (struct line_part){.prefix = keep(r, &prefix),
                                   .suffix = keep(r, &suffix),
                                   .prefix_len = (uint32_t)prefix.len,
                                   .suffix_len = (uint32_t)suffix.len};
        return part->prefix && part->suffix;
}

/* In protobuf only the states of a state set have a part: their label. */
static bool make_proto_line(struct rendering *r, struct line_part *part, const struct line *line)
{
        char pair[ESCAPED_NAME_MAX + PROM_LABEL_VALUE_MAX + 4 * PROTO_VARINT_MAX];
        struct text suffix = {pair, 0};
        if (r->family->kind == PROM_STATESET)
                put_label_pair(&suffix, line->label, line->value);
        part->prefix = "";
        part->suffix = keep(r, &suffix);
        part->suffix_len = (uint32_t)suffix.len;
        return part->suffix != NULL;
}

static bool make_lines(struct rendering *r, const char *name)
{
        r->n_lines = count_lines(r);
        const size_t n = r->n_lines + has_created(r);
        r->parts = prom_arena_get_(&r->family->arena, sizeof(*r->parts) * n);
        r->part_lens = prom_arena_get_(&r->family->arena, sizeof(*r->part_lens) * n);
        if (!r->parts || !r->part_lens)
                return false;
        for (size_t i = 0; i < n; i++) {
                struct line line;
                describe_line(r, i, &line);
                if (r->dialect == DIALECT_PROTOBUF ? !make_proto_line(r, &r->parts[i], &line)
                                                   : !make_line(r, &r->parts[i], name, &line))
                        return false;
                r->part_lens[i] = r->parts[i].prefix_len + r->parts[i].suffix_len;
                r->parts_len += i < r->n_lines ? r->part_lens[i] : 0;
        }
        return true;
}

/* ---- series ------------------------------------------------------------------------------- */

/* Label names as they are written. */
static bool make_label_names(struct rendering *r)
{
        struct prom_family *f = r->family;
        char escaped[ESCAPED_NAME_MAX + 1], out[2 * ESCAPED_NAME_MAX + 3] = "";
        r->label_names = prom_arena_get_(&f->arena, sizeof(*r->label_names) * (f->n_slots + 1));
        for (unsigned i = 0; r->label_names && i < f->n_slots; i++) {
                struct text t = {out, 0};
                prom_escape_name_(f->slots[i].name, r->escaping, true, escaped);
                if (r->dialect == DIALECT_PROTOBUF)
                        put_string(&t, escaped);
                else
                        put_name(&t, escaped, true);
                r->label_names[i] = keep(r, &t);
                if (!r->label_names[i])
                        return false;
        }
        return r->label_names != NULL;
}

size_t prom_render_labels_(const struct rendering *r, const char *values, char *out)
{
        const struct prom_family *f = r->family;
        const char *by_index[PROM_LABELS_MAX];
        struct text t = {out, 0};
        for (unsigned i = 0; i < f->n_labels; i++) {
                by_index[i] = values;
                values += strlen(values) + 1;
        }
        for (unsigned i = 0; i < f->n_slots; i++) {
                const struct label_slot *slot = &f->slots[i];
                const char *value = slot->raw ? slot->raw : by_index[slot->index];
                if (r->dialect == DIALECT_PROTOBUF) {
                        put_label_pair(&t, r->label_names[i], value);
                        continue;
                }
                if (i)
                        put(&t, ",", 1);
                put_string(&t, r->label_names[i]);
                put(&t, "=\"", 2);
                put_escaped(&t, value, true);
                put(&t, "\"", 1);
        }
        return t.len;
}

/* Room for n bytes in place of the text there is, if any; twice as much if that is not enough, so that
 * what is left behind is less. NULL without memory. */
static char *text_room(const struct rendering *r, struct series_text *text, size_t n)
{
        if (text->room >= n)
                return text->text;
        if (n < 2 * (size_t)text->room)
                n = 2 * (size_t)text->room;
        char *room = prom_arena_get_(&r->family->arena, n);
        if (!room)
                return NULL;
        text->text = room;
        text->room = (uint32_t)n & INT32_MAX;
        return room;
}

/* With table_lock held. The lines of a text stand one after the other; a message has its labels.
 * `labels` has room for LABELS_TEXT_MAX. */
static bool render_series(const struct rendering *r, const struct prom_series *series,
                          struct series_text *ret, char *labels)
{
        const size_t len = prom_render_labels_(r, series->key->values, labels);
        const size_t n = r->dialect == DIALECT_PROTOBUF ? 0 : r->n_lines;
        size_t size = n ? 0 : len;
        for (size_t i = 0; i < n; i++)
                size += r->parts[i].prefix_len + len + r->parts[i].suffix_len;
        /* One unit more, so that copying a line by units stays within this series' text. */
        struct text t = {text_room(r, ret, size + COPY_UNIT), 0};
        if (!t.out)
                return false;
        if (n == 0)
                put(&t, labels, len);
        for (size_t i = 0; i < n; i++) {
                put(&t, r->parts[i].prefix, r->parts[i].prefix_len);
                put(&t, labels, len);
                put(&t, r->parts[i].suffix, r->parts[i].suffix_len);
        }
        ret->labels_len = (uint32_t)len;
        return true;
}

/* With table_lock held. */
static bool extend(struct rendering *r, size_t n, char *labels)
{
        size_t i = r->n_series, at;
        for (; i < n; i++) {
                const struct prom_series *series = prom_series_at_(r->family, i);
                const unsigned block = prom_block_of_(r->family, i, &at);
                if (!r->blocks[block])
                        r->blocks[block] = calloc(prom_block_size_(r->family, block),
                                                  sizeof(*r->blocks[block]));
                if (!r->blocks[block] || !render_series(r, series, &r->blocks[block][at], labels))
                        break;
        }
        STORE_RELEASE(&r->n_series, i);
        return i >= n; /* another scrape may have come further */
}

static struct series_text *text_at(const struct rendering *r, size_t i)
{
        size_t at;
        const unsigned block = prom_block_of_(r->family, i, &at);
        return &r->blocks[block][at];
}

void prom_texts_stale_(struct prom_series *series)
{
        for (unsigned i = 0; i < N_DIALECTS * N_ESCAPINGS; i++) {
                struct rendering *r = series->family->renderings[i / N_ESCAPINGS][i % N_ESCAPINGS];
                if (!r || series->cold->index >= r->n_series)
                        continue;
                struct series_text *text = text_at(r, series->cold->index);
                if (!text->stale)
                        STORE_RELEASE(&r->n_stale, r->n_stale + 1);
                text->stale = true;
        }
}

/* With table_lock held. */
static bool renew_stale(struct rendering *r, char *labels)
{
        grace_begin_writing();
        for (size_t i = 0; r->n_stale > 0 && i < r->n_series; i++) {
                struct series_text *text = text_at(r, i);
                if (!text->stale)
                        continue;
                if (!render_series(r, prom_series_at_(r->family, i), text, labels))
                        return false;
                text->stale = false;
                STORE(&r->n_stale, r->n_stale - 1);
        }
        return true;
}

bool prom_rendering_extend_(struct rendering *r, size_t n, char *labels)
{
        bool ok = true;
        if (unlikely(LOAD_ACQUIRE(&r->n_stale) > 0)) {
                pthread_mutex_lock(&prom_table_lock_);
                ok = renew_stale(r, labels);
                pthread_mutex_unlock(&prom_table_lock_);
        }
        for (size_t have; ok && (have = LOAD_ACQUIRE(&r->n_series)) < n;) {
                pthread_mutex_lock(&prom_table_lock_);
                have = r->n_series > have ? r->n_series : have;
                ok = extend(r, n < have + SUM_BATCH ? n : have + SUM_BATCH, labels);
                pthread_mutex_unlock(&prom_table_lock_);
        }
        return ok;
}

/* ---- renderings --------------------------------------------------------------------------- */

static struct rendering *make(struct prom_family *family, enum dialect dialect,
                              enum prom_escaping escaping)
{
        char name[ESCAPED_NAME_MAX + 1];
        struct rendering *r = prom_arena_get_(&family->arena, sizeof(*r));
        if (!r)
                return NULL;
        r->family = family;
        r->dialect = dialect;
        r->escaping = escaping;
        prom_escape_name_(family->name, escaping, true, name);
        struct text label = {name, strlen(name) + 1};
        r->state_label = keep(r, &label);
        if (dialect == DIALECT_OPENMETRICS)
                strcpy(name, family->open_names[escaping]);
        else
                prom_escape_name_(family->name, escaping, false, name);
        if (!r->state_label || !make_header(r, name) || !make_label_names(r) ||
            !make_lines(r, name))
                return NULL;
        return r;
}

struct rendering *prom_rendering_(struct prom_family *family, struct prom_format format)
{
        static const enum dialect dialects[] = {
                [PROM_TEXT_0_0_4] = DIALECT_TEXT,
                [PROM_TEXT_1_0_0] = DIALECT_TEXT,
                [PROM_OPENMETRICS_1_0_0] = DIALECT_OPENMETRICS,
                [PROM_PROTOBUF_DELIMITED] = DIALECT_PROTOBUF,
        };
        const enum dialect dialect = dialects[format.kind];
        const enum prom_escaping escaping =
                family->legacy_names ? PROM_ESCAPE_UNDERSCORES : format.escaping;
        struct rendering **slot = &family->renderings[dialect][escaping];
        struct rendering *r = LOAD_ACQUIRE(slot);
        if (likely(r))
                return r;
        pthread_mutex_lock(&prom_table_lock_);
        if (!*slot)
                STORE_RELEASE(slot, make(family, dialect, escaping));
        r = *slot;
        pthread_mutex_unlock(&prom_table_lock_);
        return r;
}

void prom_renderings_free_(struct prom_family *family)
{
        for (unsigned i = 0; i < N_DIALECTS * N_ESCAPINGS; i++) {
                struct rendering *r = family->renderings[i / N_ESCAPINGS][i % N_ESCAPINGS];
                for (unsigned block = 0; r && block < SERIES_BLOCKS_MAX; block++)
                        free(r->blocks[block]);
        }
}
