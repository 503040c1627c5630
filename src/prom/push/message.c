/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry as remote-write messages.
 *
 * 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/ (prometheus.WriteRequest)
 * 2.0: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ (io.prometheus.write.v2.Request)
 */
#include "prom/push/message.h"
#include "prom/push/error.h"
#include "prom/push/send.h"
#include "prom/push/symbols.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)
#define ORDINARY_NAN UINT64_C(0x7ff8000000000001)

enum {
        /* prometheus.WriteRequest */
        V1_TIMESERIES = 1,
        V1_SERIES_SAMPLES = 2,
        V1_SERIES_EXEMPLARS = 3,
        V1_SERIES_HISTOGRAMS = 4,
        V1_LABEL_NAME = 1,
        V1_LABEL_VALUE = 2,
        /* io.prometheus.write.v2.Request; symbols.c writes its symbols */
        V2_TIMESERIES = 5,
        V2_SERIES_SAMPLES = 2,
        V2_SERIES_HISTOGRAMS = 3,
        V2_SERIES_EXEMPLARS = 4,
        V2_SERIES_METADATA = 5,
        V2_METADATA_TYPE = 1,
        V2_METADATA_HELP = 3,
        V2_METADATA_UNIT = 4,
        V2_SAMPLE_CREATED = 3,
        /* both */
        LABELS = 1, /* of a series or an exemplar */
        SAMPLE_VALUE = 1,
        SAMPLE_TIMESTAMP = 2,
        EXEMPLAR_VALUE = 2,
        EXEMPLAR_TIMESTAMP = 3,
        HISTOGRAM_COUNT = 1,
        HISTOGRAM_SUM = 3,
        HISTOGRAM_SCHEMA = 4,
        HISTOGRAM_ZERO_THRESHOLD = 5,
        HISTOGRAM_ZERO_COUNT = 6,
        HISTOGRAM_NEGATIVE_SPANS = 8,
        HISTOGRAM_NEGATIVE_DELTAS = 9,
        HISTOGRAM_POSITIVE_SPANS = 11,
        HISTOGRAM_POSITIVE_DELTAS = 12,
        HISTOGRAM_TIMESTAMP = 15,
        V2_HISTOGRAM_CREATED = 17,
        SPAN_OFFSET = 1,
        SPAN_LENGTH = 2,

        LABELS_MAX = PROM_LABELS_MAX + PROM_PUSH_LABELS_MAX + 2, /* 2: "__name__" and "le" */
};

struct writer {
        unsigned version;
        const struct prom_push_target *target;
        const struct prom_write_options *options;
        int64_t timestamp_ms;
        struct messages *out;
        struct symbols symbols;
        struct bytes list; /* the series of the current message */
        struct bytes one;  /* one series */
        struct bytes part; /* one field of it */
        struct bytes exemplar;
        size_t samples, histograms; /* as in struct message */
};

/* ---- labels ------------------------------------------------------------------------------- */

struct labels {
        struct prom_label list[LABELS_MAX]; /* sorted by name */
        size_t n;
};

/* Inserts a label in order of names. Of two with the same name the first stays. Labels with empty
 * values do not exist. */
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

static void put_labels_1(struct writer *w, const struct labels *labels, struct bytes *out)
{
        for (size_t i = 0; i < labels->n; i++) {
                const struct prom_label *l = &labels->list[i];
                w->part.len = 0;
                bytes_field_bytes(&w->part, V1_LABEL_NAME, l->name, strlen(l->name));
                bytes_field_bytes(&w->part, V1_LABEL_VALUE, l->value, strlen(l->value));
                bytes_field_bytes(out, LABELS, w->part.data, w->part.len);
        }
}

static void put_labels_2(struct writer *w, const struct labels *labels, struct bytes *out)
{
        w->part.len = 0;
        for (size_t i = 0; i < labels->n; i++) {
                bytes_varint(&w->part, prom_push_symbol_(&w->symbols, labels->list[i].name));
                bytes_varint(&w->part, prom_push_symbol_(&w->symbols, labels->list[i].value));
        }
        bytes_field_bytes(out, LABELS, w->part.data, w->part.len);
}

/* The labels of a series or an exemplar. */
static void put_labels(struct writer *w, const struct labels *labels, struct bytes *out)
{
        if (w->version == 1)
                put_labels_1(w, labels, out);
        else
                put_labels_2(w, labels, out);
}

/* ---- series ------------------------------------------------------------------------------- */

static uint64_t bits_of(double v)
{
        uint64_t bits;
        memcpy(&bits, &v, sizeof(bits));
        return bits;
}

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
        put_sample(w, isnan(value) ? ORDINARY_NAN : bits_of(value), w->timestamp_ms, created_ms);
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

static void gather_labels(struct writer *w, const struct prom_point *point, const char *name,
                          const struct prom_label *extra, struct labels *ret)
{
        ret->n = 0;
        add_label(ret, "__name__", name);
        for (size_t i = 0; i < point->n_labels; i++)
                add_label(ret, point->labels[i].name, point->labels[i].value);
        if (extra)
                add_label(ret, extra->name, extra->value);
        for (const struct prom_label *l = w->options->labels; l && l->name; l++)
                add_label(ret, l->name, l->value);
}

static void end_series(struct writer *w, const struct prom_view *family)
{
        if (w->version == 2)
                put_metadata(w, family);
        bytes_field_bytes(&w->list, w->version == 1 ? V1_TIMESERIES : V2_TIMESERIES, w->one.data,
                          w->one.len);
}

static void put_exemplar(struct writer *w, const struct prom_exemplar *exemplar)
{
        struct labels labels = {.n = 0};
        for (size_t i = 0; i < exemplar->n_labels; i++)
                add_label(&labels, exemplar->labels[i].name, exemplar->labels[i].value);
        w->exemplar.len = 0;
        put_labels(w, &labels, &w->exemplar);
        bytes_field_double(&w->exemplar, EXEMPLAR_VALUE, bits_of(exemplar->value));
        bytes_field_varint(&w->exemplar, EXEMPLAR_TIMESTAMP, (uint64_t)exemplar->time_ms);
        bytes_field_bytes(&w->one, w->version == 1 ? V1_SERIES_EXEMPLARS : V2_SERIES_EXEMPLARS,
                          w->exemplar.data, w->exemplar.len);
}

/* Writes a bound such as "1" as OpenMetrics does, "1.0". Prometheus 2 stores this form when it
 * scrapes OpenMetrics, and Prometheus 3 converts any other to it, but only when it scrapes. */
static const char *open_bound(const char *text, char out[PROM_NUMBER_MAX + sizeof(".0")])
{
        if (strpbrk(text, ".eIN")) /* "1e+06", "+Inf", "NaN" */
                return text;
        strcpy(stpcpy(out, text), ".0");
        return out;
}

/* One series for each number, as the receiver would store them from a scrape. */
static int put_number(const struct prom_view *family, const struct prom_point *point,
                      const struct prom_sample *sample, void *data)
{
        struct writer *w = data;
        struct labels labels;
        struct prom_exemplar exemplar;
        struct prom_label bound;
        char text[PROM_NUMBER_MAX + sizeof(".0")];
        if (sample->extra)
                bound = (struct prom_label){sample->extra->name,
                                            open_bound(sample->extra->value, text)};
        gather_labels(w, point, sample->name, sample->extra ? &bound : NULL, &labels);
        w->one.len = 0;
        put_labels(w, &labels, &w->one);
        put_samples(w, sample->value, point->created_ms);
        if (prom_point_exemplar(point, sample->slot, &exemplar) == 0)
                put_exemplar(w, &exemplar);
        end_series(w, family);
        return 0;
}

/* ---- native histograms -------------------------------------------------------------------- */

/* Spans of buckets, and each count as the difference from the one before. */
static void put_buckets(struct bytes *out, const struct prom_native_bucket *buckets, size_t n,
                        unsigned spans_field, unsigned deltas_field)
{
        struct bytes span = {0}, deltas = {0};
        int64_t last = 0;
        int32_t next = 0;
        for (size_t i = 0; i < n;) {
                size_t run = 1;
                while (i + run < n && buckets[i + run].index == buckets[i].index + (int32_t)run)
                        run++;
                span.len = 0;
                bytes_field_varint(&span, SPAN_OFFSET, zigzag(buckets[i].index - next));
                bytes_field_varint(&span, SPAN_LENGTH, run);
                bytes_field_bytes(out, spans_field, span.data, span.len);
                next = buckets[i].index + (int32_t)run;
                for (; run; run--, i++) {
                        bytes_varint(&deltas, zigzag((int64_t)buckets[i].count - last));
                        last = (int64_t)buckets[i].count;
                }
        }
        if (n)
                bytes_field_bytes(out, deltas_field, deltas.data, deltas.len);
        out->failed = out->failed || span.failed || deltas.failed;
        bytes_release(&span);
        bytes_release(&deltas);
}

/* The versions have the same field numbers, except for the last field. */
static void put_histogram(struct writer *w, const struct prom_native_snapshot *h)
{
        w->part.len = 0;
        bytes_field_varint(&w->part, HISTOGRAM_COUNT, h->count);
        bytes_field_double(&w->part, HISTOGRAM_SUM, bits_of(h->sum));
        bytes_field_varint(&w->part, HISTOGRAM_SCHEMA, zigzag(h->schema));
        bytes_field_double(&w->part, HISTOGRAM_ZERO_THRESHOLD, bits_of(h->zero_threshold));
        bytes_field_varint(&w->part, HISTOGRAM_ZERO_COUNT, h->zero_count);
        put_buckets(&w->part, h->buckets + h->n_positive, h->n_negative, HISTOGRAM_NEGATIVE_SPANS,
                    HISTOGRAM_NEGATIVE_DELTAS);
        put_buckets(&w->part, h->buckets, h->n_positive, HISTOGRAM_POSITIVE_SPANS,
                    HISTOGRAM_POSITIVE_DELTAS);
        bytes_field_varint(&w->part, HISTOGRAM_TIMESTAMP, (uint64_t)w->timestamp_ms);
        if (w->version == 2)
                bytes_field_varint(&w->part, V2_HISTOGRAM_CREATED, (uint64_t)h->created_ms);
        bytes_field_bytes(&w->one, w->version == 1 ? V1_SERIES_HISTOGRAMS : V2_SERIES_HISTOGRAMS,
                          w->part.data, w->part.len);
        w->samples++;
        w->histograms++;
}

/* A stale marker has a special sum and nothing else. */
static void put_stale_histogram(struct writer *w, const struct prom_native_snapshot *h)
{
        w->part.len = 0;
        bytes_field_double(&w->part, HISTOGRAM_SUM, STALE_MARKER);
        bytes_field_varint(&w->part, HISTOGRAM_SCHEMA, zigzag(h->schema));
        bytes_field_varint(&w->part, HISTOGRAM_TIMESTAMP, (uint64_t)w->timestamp_ms + 1);
        bytes_field_bytes(&w->one, w->version == 1 ? V1_SERIES_HISTOGRAMS : V2_SERIES_HISTOGRAMS,
                          w->part.data, w->part.len);
        w->samples++;
        w->histograms++;
}

static bool is_later(const struct prom_exemplar *a, const struct prom_exemplar *b)
{
        return a->time_ms != b->time_ms ? a->time_ms > b->time_ms : a->value > b->value;
}

/* Only native histograms have several exemplars. Receivers want them in order of time, and reject
 * those that are older than the newest one they have of the series. */
static void put_native_exemplars(struct writer *w, const struct prom_point *point)
{
        struct prom_exemplar all[PROM_NATIVE_EXEMPLARS];
        const struct prom_exemplar *sorted[PROM_NATIVE_EXEMPLARS];
        struct messages *out = w->out;
        size_t n = 0;
        for (int slot = 0; slot < PROM_NATIVE_EXEMPLARS; slot++) {
                const struct prom_exemplar *e = &all[slot];
                if (prom_point_exemplar(point, slot, &all[slot]) < 0 || e->time_ms <= out->after_ms)
                        continue;
                size_t at = n++;
                for (; at && is_later(sorted[at - 1], e); at--)
                        sorted[at] = sorted[at - 1];
                sorted[at] = e;
        }
        for (size_t i = out->newest_only && n ? n - 1 : 0; i < n; i++) {
                if (i + 1 < n && !is_later(sorted[i + 1], sorted[i]))
                        continue; /* same time and value: the order is unknown */
                put_exemplar(w, sorted[i]);
                if (sorted[i]->time_ms > out->newest_ms)
                        out->newest_ms = sorted[i]->time_ms;
        }
}

static void put_native(struct writer *w, const struct prom_view *family,
                       const struct prom_point *point)
{
        struct labels labels;
        gather_labels(w, point, family->name, NULL, &labels);
        w->one.len = 0;
        put_labels(w, &labels, &w->one);
        put_histogram(w, point->native);
        if (family->n_bounds == 0)
                put_native_exemplars(w, point);
        if (w->options->stale)
                put_stale_histogram(w, point->native);
        end_series(w, family);
}

/* ---- messages ----------------------------------------------------------------------------- */

static int end_message(struct writer *w)
{
        struct messages *out = w->out;
        if (w->list.failed || w->one.failed || w->part.failed || w->exemplar.failed ||
            w->symbols.text.failed)
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
        *message = (struct message){.samples = w->samples, .histograms = w->histograms};
        if (w->version == 2)
                bytes_add(&message->body, w->symbols.text.data, w->symbols.text.len);
        bytes_add(&message->body, w->list.data, w->list.len);
        prom_push_symbols_release_(&w->symbols);
        w->list.len = 0;
        w->samples = 0;
        w->histograms = 0;
        return message->body.failed ? -ENOMEM : 0;
}

static int put_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        struct writer *w = data;
        if (!point || !prom_push_wants_(w->target, family->name))
                return 0;
        if (point->native)
                put_native(w, family, point);
        if (!point->native || family->n_bounds)
                prom_point_samples(family, point, put_number, w);
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
        bytes_release(&w.exemplar);
        return r < 0 ? prom_push_fail_(error, -r, "out of memory") : 0;
}

void prom_push_messages_release_(struct messages *messages)
{
        for (size_t i = 0; i < messages->n; i++)
                bytes_release(&messages->list[i].body);
        free(messages->list);
        *messages = (struct messages){0};
}
