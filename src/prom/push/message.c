/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry as messages of remote-write.
 * 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/ (prometheus.WriteRequest)
 * 2.0: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ (io.prometheus.write.v2.Request)
 */
#include "prom/push/internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)
#define ORDINARY_NAN UINT64_C(0x7ff8000000000001)

enum {
        /* prometheus.WriteRequest */
        V1_TIMESERIES = 1,
        V1_SERIES_LABELS = 1,
        V1_SERIES_SAMPLES = 2,
        V1_LABEL_NAME = 1,
        V1_LABEL_VALUE = 2,
        /* io.prometheus.write.v2.Request; its symbols: symbols.c */
        V2_TIMESERIES = 5,
        V2_SERIES_LABELS = 1,
        V2_SERIES_SAMPLES = 2,
        V2_SERIES_METADATA = 5,
        V2_METADATA_TYPE = 1,
        V2_METADATA_HELP = 3,
        V2_METADATA_UNIT = 4,
        V2_SERIES_CREATED = 6,
        V2_SAMPLE_CREATED = 3,
        /* in both */
        SAMPLE_VALUE = 1,
        SAMPLE_TIMESTAMP = 2,

        /* "__name__" and "le" as well */
        LABELS_MAX = PROM_LABELS_MAX + PROM_PUSH_LABELS_MAX + 2,
        SUFFIX_MAX = 8,
};

struct writer {
        unsigned version;
        const struct prom_push_target *target;
        const struct prom_write_options *options;
        int64_t timestamp_ms;
        struct messages *out;
        struct symbols symbols;
        struct bytes list; /* the series of the message being made */
        struct bytes one;  /* one series */
        struct bytes part; /* one of its parts */
        size_t samples;
};

/* ---- labels ------------------------------------------------------------------------------- */

struct labels {
        struct prom_label list[LABELS_MAX]; /* sorted by name */
        size_t n;
};

/* Before or among those that are there. The first of a name stays; an empty value is no label. */
static void add_label(struct labels *labels, const char *name, const char *value)
{
        size_t at = labels->n;
        if (!*value || labels->n == LABELS_MAX)
                return;
        while (at && strcmp(labels->list[at - 1].name, name) > 0)
                at--;
        if (at && strcmp(labels->list[at - 1].name, name) == 0)
                return;
        memmove(&labels->list[at + 1], &labels->list[at],
                (labels->n - at) * sizeof(labels->list[0]));
        labels->list[at] = (struct prom_label){name, value};
        labels->n++;
}

static void put_labels_1(struct writer *w, const struct labels *labels)
{
        for (size_t i = 0; i < labels->n; i++) {
                const struct prom_label *l = &labels->list[i];
                w->part.len = 0;
                bytes_field_bytes(&w->part, V1_LABEL_NAME, l->name, strlen(l->name));
                bytes_field_bytes(&w->part, V1_LABEL_VALUE, l->value, strlen(l->value));
                bytes_field_bytes(&w->one, V1_SERIES_LABELS, w->part.data, w->part.len);
        }
}

static void put_labels_2(struct writer *w, const struct labels *labels)
{
        w->part.len = 0;
        for (size_t i = 0; i < labels->n; i++) {
                bytes_varint(&w->part, prom_push_symbol_(&w->symbols, labels->list[i].name));
                bytes_varint(&w->part, prom_push_symbol_(&w->symbols, labels->list[i].value));
        }
        bytes_field_bytes(&w->one, V2_SERIES_LABELS, w->part.data, w->part.len);
}

/* ---- series ------------------------------------------------------------------------------- */

static void put_sample(struct writer *w, uint64_t bits, int64_t timestamp_ms, int64_t created_ms)
{
        w->part.len = 0;
        bytes_field_double(&w->part, SAMPLE_VALUE, bits);
        bytes_field_varint(&w->part, SAMPLE_TIMESTAMP, (uint64_t)timestamp_ms);
        if (w->version == 2)
                bytes_field_varint(&w->part, V2_SAMPLE_CREATED, (uint64_t)created_ms);
        bytes_field_bytes(&w->one, w->version == 1 ? V1_SERIES_SAMPLES : V2_SERIES_SAMPLES,
                          w->part.data, w->part.len);
        w->samples++;
}

static void put_samples(struct writer *w, double value, int64_t created_ms)
{
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        put_sample(w, isnan(value) ? ORDINARY_NAN : bits, w->timestamp_ms, created_ms);
        if (w->options->stale)
                put_sample(w, STALE_MARKER, w->timestamp_ms + 1, created_ms);
}

static void put_metadata(struct writer *w, const struct prom_view *family)
{
        static const unsigned types[] = {
                [PROM_COUNTER] = 1, [PROM_GAUGE] = 2, [PROM_HISTOGRAM] = 3,
                [PROM_SUMMARY] = 5, [PROM_INFO] = 6,  [PROM_STATESET] = 7,
        };
        w->part.len = 0;
        bytes_field_varint(&w->part, V2_METADATA_TYPE, types[family->kind]);
        bytes_field_varint(&w->part, V2_METADATA_HELP,
                           prom_push_symbol_(&w->symbols, family->help));
        bytes_field_varint(&w->part, V2_METADATA_UNIT,
                           prom_push_symbol_(&w->symbols, family->unit ? family->unit : ""));
        bytes_field_bytes(&w->one, V2_SERIES_METADATA, w->part.data, w->part.len);
}

/* One series as the other side has them: NAME SUFFIX {labels, name="value"}. */
static void put_series(struct writer *w, const struct prom_view *family,
                       const struct prom_point *point, const char *suffix,
                       const struct prom_label *extra, double value)
{
        char name[PROM_NAME_MAX + SUFFIX_MAX + 1];
        struct labels labels = {.n = 0};
        snprintf(name, sizeof(name), "%s%s", family->name, suffix);
        add_label(&labels, "__name__", name);
        for (size_t i = 0; i < point->n_labels; i++)
                add_label(&labels, point->labels[i].name, point->labels[i].value);
        if (extra)
                add_label(&labels, extra->name, extra->value);
        for (const struct prom_label *l = w->options->labels; l && l->name; l++)
                add_label(&labels, l->name, l->value);

        w->one.len = 0;
        if (w->version == 1)
                put_labels_1(w, &labels);
        else
                put_labels_2(w, &labels);
        put_samples(w, value, point->created_ms);
        if (w->version == 2) {
                put_metadata(w, family);
                /* Where drafts of 2.0 before the fourth have it; later ones reserve the field. */
                bytes_field_varint(&w->one, V2_SERIES_CREATED, (uint64_t)point->created_ms);
        }
        bytes_field_bytes(&w->list, w->version == 1 ? V1_TIMESERIES : V2_TIMESERIES, w->one.data,
                          w->one.len);
}

static void put_histogram(struct writer *w, const struct prom_view *family,
                          const struct prom_point *point)
{
        const struct prom_snapshot *h = point->histogram;
        uint64_t count = 0;
        for (size_t i = 0; i <= h->n_buckets; i++) {
                char bound[PROM_NUMBER_MAX + 1];
                double le = i < h->n_buckets ? family->bounds[i] : (double)INFINITY;
                bound[prom_format_number(le, bound)] = '\0';
                count += h->buckets[i];
                put_series(w, family, point, "_bucket", &(struct prom_label){"le", bound},
                           (double)count);
        }
        put_series(w, family, point, "_sum", NULL, h->sum);
        put_series(w, family, point, "_count", NULL, (double)h->count);
}

/* ---- messages ----------------------------------------------------------------------------- */

static int end_message(struct writer *w)
{
        struct messages *out = w->out;
        if (w->list.failed || w->one.failed || w->part.failed || w->symbols.text.failed)
                return -ENOMEM;
        if (w->samples == 0)
                return 0;
        if (out->n == out->cap) {
                size_t cap = out->cap ? out->cap * 2 : 4;
                struct message *list = realloc(out->list, cap * sizeof(*list));
                if (!list)
                        return -ENOMEM;
                out->list = list;
                out->cap = cap;
        }
        struct message *message = &out->list[out->n++];
        *message = (struct message){.samples = w->samples};
        if (w->version == 2)
                bytes_add(&message->body, w->symbols.text.data, w->symbols.text.len);
        bytes_add(&message->body, w->list.data, w->list.len);
        prom_push_symbols_release_(&w->symbols);
        w->list.len = 0;
        w->samples = 0;
        return message->body.failed ? -ENOMEM : 0;
}

static int put_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        struct writer *w = data;
        if (!point || !prom_push_wants_(w->target, family->name))
                return 0;
        if (point->histogram)
                put_histogram(w, family, point);
        else
                put_series(w, family, point, "", NULL, point->value);
        return w->samples < PROM_WRITE_SAMPLES_MAX ? 0 : end_message(w);
}

static int check_labels(const struct prom_label *labels, struct prom_error *error)
{
        size_t n = 0;
        for (const struct prom_label *l = labels; l && l->name; l++) {
                if (!*l->name || strncmp(l->name, "__", 2) == 0 || !l->value)
                        return prom_push_fail_(error, EINVAL, "label \"%.100s\" cannot be added",
                                               l->name);
                if (++n > PROM_PUSH_LABELS_MAX)
                        return prom_push_fail_(error, EINVAL, "more than %d labels to add",
                                               PROM_PUSH_LABELS_MAX);
        }
        return 0;
}

int prom_push_messages_(unsigned version, const struct prom_push_target *target,
                        const struct prom_write_options *options, int64_t timestamp_ms,
                        struct prom_registry *registry, struct messages *ret,
                        struct prom_error *error)
{
        struct writer w = {.version = version,
                           .target = target,
                           .options = options,
                           .timestamp_ms = timestamp_ms,
                           .out = ret};
        int r = check_labels(options->labels, error);
        if (r < 0)
                return r;
        r = prom_visit(registry, put_point, &w);
        if (r == 0)
                r = end_message(&w);
        prom_push_symbols_release_(&w.symbols);
        bytes_release(&w.list);
        bytes_release(&w.one);
        bytes_release(&w.part);
        return r < 0 ? prom_push_fail_(error, -r, "out of memory") : 0;
}

void prom_push_messages_release_(struct messages *messages)
{
        for (size_t i = 0; i < messages->n; i++)
                bytes_release(&messages->list[i].body);
        free(messages->list);
        *messages = (struct messages){0};
}
