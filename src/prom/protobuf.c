/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delimited protobuf: messages io.prometheus.client.MetricFamily, each preceded by its length. The
 * field numbers are those of client_model's metrics.proto.
 *
 * When memory runs out, s->failed stays set and nothing more is written.
 */
#include "prom/format.h"
#include "prom/number.h"

#include <math.h>

enum {
        WIRE_VARINT = 0,
        WIRE_FIXED64 = 1,
        WIRE_BYTES = 2,
        VARINT_MAX = 10, /* bytes */
        FAMILY_NAME = 1,
        FAMILY_HELP = 2,
        FAMILY_TYPE = 3,
        FAMILY_METRIC = 4,
        FAMILY_UNIT = 5,
        METRIC_LABEL = 1,
        METRIC_GAUGE = 2,
        METRIC_COUNTER = 3,
        METRIC_SUMMARY = 4,
        METRIC_HISTOGRAM = 7,
        VALUE = 1, /* of a counter or gauge */
        COUNTER_EXEMPLAR = 2,
        COUNTER_CREATED = 3,
        SAMPLE_COUNT = 1, /* of a summary or histogram */
        SAMPLE_SUM = 2,
        SUMMARY_QUANTILE = 3,
        SUMMARY_CREATED = 4,
        QUANTILE_QUANTILE = 1,
        QUANTILE_VALUE = 2,
        HISTOGRAM_BUCKET = 3,
        HISTOGRAM_SCHEMA = 5,
        HISTOGRAM_ZERO_THRESHOLD = 6,
        HISTOGRAM_ZERO_COUNT = 7,
        HISTOGRAM_NEGATIVE_SPAN = 9,
        HISTOGRAM_NEGATIVE_DELTA = 10,
        HISTOGRAM_POSITIVE_SPAN = 12,
        HISTOGRAM_POSITIVE_DELTA = 13,
        HISTOGRAM_CREATED = 15,
        HISTOGRAM_EXEMPLARS = 16,
        BUCKET_COUNT = 1,
        BUCKET_BOUND = 2,
        BUCKET_EXEMPLAR = 3,
        SPAN_OFFSET = 1,
        SPAN_LENGTH = 2,
        EXEMPLAR_LABEL = 1,
        EXEMPLAR_VALUE = 2,
        EXEMPLAR_TIME = 3,
        LABEL_NAME = 1,
        LABEL_VALUE = 2,
        TIME_SECONDS = 1,
        TIME_NANOS = 2,
        FIELD_MAX = 2 * VARINT_MAX, /* bytes of a numeric field */
        GAUGE_LEN = 11,             /* bytes of a gauge */
        COUNTER_MAX = 48,           /* bytes of a counter without an exemplar */
        GAP_FILLED = 2,             /* up to this many empty buckets cost less than a new span */
};

static char *write_varint(char *out, uint64_t n)
{
        for (; n >= 0x80; n >>= 7)
                *out++ = (char)(n | 0x80);
        *out++ = (char)n;
        return out;
}

static unsigned varint_width(uint64_t n)
{
        return n < 0x80 ? 1 : (70u - (unsigned)__builtin_clzll(n)) / 7;
}

/* ---- fields ------------------------------------------------------------------------------- */

static void put_tag(struct scrape *s, unsigned field, unsigned type)
{
        char *end = write_varint(s->buf->data + s->buf->len, field << 3 | type);
        s->buf->len = (size_t)(end - s->buf->data);
}

static bool reserve(struct scrape *s, size_t n)
{
        if (likely(!s->failed) && unlikely(!prom_reserve_(s->buf, n)))
                s->failed = true;
        return !s->failed;
}

static void put_u64(struct scrape *s, unsigned field, uint64_t n)
{
        if (!reserve(s, FIELD_MAX))
                return;
        put_tag(s, field, WIRE_VARINT);
        char *end = write_varint(s->buf->data + s->buf->len, n);
        s->buf->len = (size_t)(end - s->buf->data);
}

/* sint32 and sint64: zigzag. */
static void put_signed(struct scrape *s, unsigned field, int64_t n)
{
        put_u64(s, field, (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0));
}

static void put_double(struct scrape *s, unsigned field, double v)
{
        if (!reserve(s, FIELD_MAX))
                return;
        put_tag(s, field, WIRE_FIXED64);
        const uint64_t bits = bits_of(v);
        memcpy(s->buf->data + s->buf->len, &bits, sizeof(bits));
        s->buf->len += sizeof(bits);
}

static void put_bytes(struct scrape *s, const char *bytes, size_t n)
{
        if (!reserve(s, n))
                return;
        memcpy(s->buf->data + s->buf->len, bytes, n);
        s->buf->len += n;
}

static void put_string(struct scrape *s, unsigned field, const char *string)
{
        const size_t n = strlen(string);
        if (!reserve(s, FIELD_MAX))
                return;
        put_tag(s, field, WIRE_BYTES);
        char *end = write_varint(s->buf->data + s->buf->len, n);
        s->buf->len = (size_t)(end - s->buf->data);
        put_bytes(s, string, n);
}

/* ---- messages ----------------------------------------------------------------------------- */

/* A message under construction. Its length precedes it but is known only at the end: begin() leaves
 * room for a guessed number of bytes, and end() moves the message if the guess was wrong. */
struct mark {
        size_t at; /* where the message begins */
        unsigned width;
};

static struct mark begin(struct scrape *s, unsigned width)
{
        if (reserve(s, width))
                s->buf->len += width;
        return (struct mark){s->buf->len, width};
}

/* Writes the length. Returns how many bytes it took. */
static unsigned end(struct scrape *s, struct mark mark)
{
        if (!reserve(s, VARINT_MAX))
                return mark.width;
        const size_t n = s->buf->len - mark.at;
        const unsigned width = varint_width(n);
        char *start = s->buf->data + mark.at - mark.width;
        if (unlikely(width != mark.width))
                memmove(start + width, start + mark.width, n);
        write_varint(start, n);
        s->buf->len = s->buf->len - mark.width + width;
        return width;
}

/* A field that is a message of about `guess` bytes. */
static struct mark begin_field(struct scrape *s, unsigned field, size_t guess)
{
        if (reserve(s, FIELD_MAX))
                put_tag(s, field, WIRE_BYTES);
        return begin(s, varint_width(guess));
}

static void put_time(struct scrape *s, unsigned field, int64_t ms)
{
        const struct mark mark = begin_field(s, field, 0);
        put_u64(s, TIME_SECONDS, (uint64_t)(ms / 1000));
        if (ms % 1000)
                put_u64(s, TIME_NANOS, (uint64_t)(ms % 1000 * 1000000));
        end(s, mark);
}

/* Samples of collectors have none. */
static void put_created(struct scrape *s, unsigned field, int64_t ms)
{
        if (ms)
                put_time(s, field, ms);
}

static void put_exemplar(struct scrape *s, unsigned field, const struct exemplar *exemplar)
{
        char name[ESCAPED_NAME_MAX + 1];
        const struct mark mark = begin_field(s, field, 0);
        const char *text = exemplar->text;
        for (unsigned i = 0; i < exemplar->n_labels; i++) {
                const struct mark label = begin_field(s, EXEMPLAR_LABEL, 0);
                prom_escape_name_(text, s->escaping, true, name);
                put_string(s, LABEL_NAME, name);
                text += strlen(text) + 1;
                put_string(s, LABEL_VALUE, text);
                text += strlen(text) + 1;
                end(s, label);
        }
        put_double(s, EXEMPLAR_VALUE, exemplar->value);
        put_time(s, EXEMPLAR_TIME, exemplar->time_ms);
        end(s, mark);
}

static bool read_exemplar(struct scrape *s, const struct prom_series *series, size_t slot)
{
        return prom_has_exemplars_(series) &&
               prom_read_exemplar_(series, slot, &s->buf->scratch->exemplar);
}

static struct mark begin_metric(struct scrape *s, const char *labels, size_t len, size_t guess)
{
        const struct mark mark = begin_field(s, FAMILY_METRIC, len + guess);
        put_bytes(s, labels, len);
        return mark;
}

/* ---- kinds -------------------------------------------------------------------------------- */

static void put_counter_message(struct scrape *s, const struct series_text *text,
                                const struct counter_value *value, const struct exemplar *exemplar)
{
        struct mark metric = begin_metric(s, text->text, text->labels_len, 0);
        struct mark counter = begin_field(s, METRIC_COUNTER, 0);
        put_double(s, VALUE, (double)value->whole + value->part);
        if (exemplar)
                put_exemplar(s, COUNTER_EXEMPLAR, exemplar);
        put_created(s, COUNTER_CREATED, value->created_ms);
        end(s, counter);
        end(s, metric);
}

static char *write_tag(char *out, unsigned field, unsigned type)
{
        *out++ = (char)(field << 3 | type);
        return out;
}

/* The same for a series without an exemplar, in a third of the time: all lengths except that of the
 * metric are below 128, so each takes one byte and is known before it is written. */
static void put_counter(struct scrape *s, const struct series_text *text,
                        const struct counter_value *value)
{
        char counter[COUNTER_MAX] = {0}, *p = write_tag(counter, VALUE, WIRE_FIXED64);
        const uint64_t bits = bits_of((double)value->whole + value->part);
        p = mempcpy(p, &bits, sizeof(bits));
        p = write_tag(p, COUNTER_CREATED, WIRE_BYTES);
        char *time = p + 1;
        char *time_end = write_varint(write_tag(time, TIME_SECONDS, WIRE_VARINT),
                                      (uint64_t)value->created_ms / 1000);
        time_end = write_varint(write_tag(time_end, TIME_NANOS, WIRE_VARINT),
                                (uint64_t)value->created_ms % 1000 * 1000000);
        *p = (char)(time_end - time);

        const size_t counter_len = (size_t)(time_end - counter);
        const size_t metric_len = text->labels_len + 2 + counter_len;
        if (!reserve(s, metric_len + FIELD_MAX + COUNTER_MAX))
                return;
        char *out = write_tag(s->buf->data + s->buf->len, FAMILY_METRIC, WIRE_BYTES);
        out = write_varint(out, metric_len);
        out = mempcpy(out, text->text, text->labels_len);
        out = write_tag(out, METRIC_COUNTER, WIRE_BYTES);
        *out++ = (char)counter_len;
        memcpy(out, counter, COUNTER_MAX);
        s->buf->len = (size_t)(out - s->buf->data) + counter_len;
}

static bool put_counters(struct scrape *s, const struct prom_series *series,
                         const struct series_text *texts, const struct counter_value *values,
                         size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (unlikely(!values[i].shown))
                        continue;
                if (unlikely(s->exemplars) && read_exemplar(s, &series[i], 0))
                        put_counter_message(s, &texts[i], &values[i], &s->buf->scratch->exemplar);
                else if (likely(values[i].created_ms))
                        put_counter(s, &texts[i], &values[i]);
                else
                        put_counter_message(s, &texts[i], &values[i], NULL);
        }
        return !s->failed;
}

static void put_gauge(struct scrape *s, double v)
{
        struct mark gauge = begin_field(s, METRIC_GAUGE, 0);
        put_double(s, VALUE, v);
        end(s, gauge);
}

static bool put_gauges(struct scrape *s, const struct series_text *texts,
                       const struct gauge_value *values, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (unlikely(!values[i].shown))
                        continue;
                struct mark metric = begin_metric(s, texts[i].text, texts[i].labels_len, GAUGE_LEN);
                put_gauge(s, values[i].v);
                end(s, metric);
        }
        return !s->failed;
}

static bool put_stateset(struct scrape *s, const struct series_text *text, uint64_t bits)
{
        for (size_t i = 0; i < s->layout->n_lines; i++) {
                const struct line_part *part = &s->layout->parts[i];
                struct mark metric =
                        begin_metric(s, text->text, text->labels_len, part->suffix_len + GAUGE_LEN);
                put_bytes(s, part->suffix, part->suffix_len);
                put_gauge(s, bits >> i & 1);
                end(s, metric);
        }
        return !s->failed;
}

static bool put_summary(struct scrape *s, const struct series_text *text,
                        const struct prom_quantile_snapshot *value)
{
        struct mark metric = begin_metric(s, text->text, text->labels_len, 128);
        struct mark summary = begin_field(s, METRIC_SUMMARY, 0);
        put_u64(s, SAMPLE_COUNT, value->count);
        put_double(s, SAMPLE_SUM, value->sum);
        for (size_t i = 0; i < value->n_quantiles; i++) {
                struct mark quantile = begin_field(s, SUMMARY_QUANTILE, 0);
                put_double(s, QUANTILE_QUANTILE, value->quantiles[i]);
                put_double(s, QUANTILE_VALUE, value->values[i]);
                end(s, quantile);
        }
        put_created(s, SUMMARY_CREATED, value->created_ms);
        end(s, summary);
        end(s, metric);
        return !s->failed;
}

/* ---- histograms --------------------------------------------------------------------------- */

/* Every reader adds the bucket +Inf itself, so it is written only if it has an exemplar. */
static void put_classic_buckets(struct scrape *s, const struct prom_series *series,
                                const struct prom_snapshot *value)
{
        uint64_t count = 0;
        for (size_t i = 0; i <= value->n_buckets; i++) {
                const bool exemplar = unlikely(s->exemplars) && read_exemplar(s, series, i);
                count += value->buckets[i];
                if (i == value->n_buckets && !exemplar)
                        break;
                struct mark bucket = begin_field(s, HISTOGRAM_BUCKET, 0);
                put_u64(s, BUCKET_COUNT, count);
                put_double(s, BUCKET_BOUND,
                           i < value->n_buckets ? s->layout->family->bounds[i] : HUGE_VAL);
                if (exemplar)
                        put_exemplar(s, BUCKET_EXEMPLAR, &s->buf->scratch->exemplar);
                end(s, bucket);
        }
}

static void put_span(struct scrape *s, unsigned field, int64_t offset, uint64_t length)
{
        struct mark span = begin_field(s, field, 0);
        put_signed(s, SPAN_OFFSET, offset);
        put_u64(s, SPAN_LENGTH, length);
        end(s, span);
}

/* Whether bucket i begins a span. */
static bool begins_span(const struct prom_native_bucket *buckets, size_t i)
{
        return i == 0 || (int64_t)buckets[i].index - buckets[i - 1].index - 1 > GAP_FILLED;
}

/* Spans of buckets: the distance of each from the end of the one before (of the first, from 0) and
 * its length. */
static void put_spans(struct scrape *s, unsigned field, const struct prom_native_bucket *buckets,
                      size_t n)
{
        int64_t end_before = 0;
        for (size_t i = 0, next; i < n; i = next) {
                for (next = i + 1; next < n && !begins_span(buckets, next);)
                        next++;
                const int64_t end_now = (int64_t)buckets[next - 1].index + 1;
                put_span(s, field, buckets[i].index - end_before,
                         (uint64_t)(end_now - buckets[i].index));
                end_before = end_now;
        }
}

/* Counts of the buckets in all spans, empty ones included, each as the difference from the one
 * before. */
static void put_deltas(struct scrape *s, unsigned field, const struct prom_native_bucket *buckets,
                       size_t n)
{
        uint64_t before = 0;
        for (size_t i = 0; i < n; i++) {
                if (!begins_span(buckets, i))
                        for (int64_t gap = buckets[i - 1].index + 1; gap < buckets[i].index;
                             gap++) {
                                put_signed(s, field, (int64_t)(0 - before));
                                before = 0;
                        }
                put_signed(s, field, (int64_t)(buckets[i].count - before));
                before = buckets[i].count;
        }
}

static void put_native_buckets(struct scrape *s, const struct prom_native_snapshot *value)
{
        const struct prom_native_bucket *negative = value->buckets + value->n_positive;
        put_signed(s, HISTOGRAM_SCHEMA, value->schema);
        put_double(s, HISTOGRAM_ZERO_THRESHOLD, value->zero_threshold);
        put_u64(s, HISTOGRAM_ZERO_COUNT, value->zero_count);
        put_spans(s, HISTOGRAM_NEGATIVE_SPAN, negative, value->n_negative);
        put_deltas(s, HISTOGRAM_NEGATIVE_DELTA, negative, value->n_negative);
        put_spans(s, HISTOGRAM_POSITIVE_SPAN, value->buckets, value->n_positive);
        put_deltas(s, HISTOGRAM_POSITIVE_DELTA, value->buckets, value->n_positive);
        /* A native histogram without observations and with a zero bucket of no width looks like a
         * classic one; an empty span marks it. */
        if (value->n_positive + value->n_negative == 0 && value->zero_count == 0 &&
            !(value->zero_threshold > 0))
                put_span(s, HISTOGRAM_POSITIVE_SPAN, 0, 0);
}

/* The newest exemplars in order of time, those of classic buckets included. */
static void put_native_exemplars(struct scrape *s, const struct prom_series *series)
{
        const struct exemplar *exemplar = &s->buf->scratch->exemplar;
        struct {
                int64_t time_ms;
                size_t slot;
        } newest[PROM_NATIVE_EXEMPLARS + 1];
        size_t n = 0;
        for (size_t slot = 0; slot < series->family->n_exemplars; slot++) {
                if (!read_exemplar(s, series, slot))
                        continue;
                size_t at = n++;
                for (; at && newest[at - 1].time_ms > exemplar->time_ms; at--)
                        newest[at] = newest[at - 1];
                newest[at].time_ms = exemplar->time_ms;
                newest[at].slot = slot;
                if (n > PROM_NATIVE_EXEMPLARS)
                        memmove(&newest[0], &newest[1], --n * sizeof(newest[0]));
        }
        for (size_t i = 0; i < n; i++)
                if (read_exemplar(s, series, newest[i].slot))
                        put_exemplar(s, HISTOGRAM_EXEMPLARS, exemplar);
}

static bool put_histogram(struct scrape *s, const struct prom_series *series,
                          const struct series_text *text, const struct prom_snapshot *value,
                          const struct prom_native_snapshot *native)
{
        struct mark metric = begin_metric(s, text->text, text->labels_len, 256);
        struct mark histogram = begin_field(s, METRIC_HISTOGRAM, 256);
        put_u64(s, SAMPLE_COUNT, value->count);
        put_double(s, SAMPLE_SUM, value->sum);
        if (s->layout->family->classic)
                put_classic_buckets(s, series, value);
        if (native)
                put_native_buckets(s, native);
        put_created(s, HISTOGRAM_CREATED, value->created_ms);
        if (native && unlikely(s->exemplars))
                put_native_exemplars(s, series);
        end(s, histogram);
        end(s, metric);
        return !s->failed;
}

/* ---- families ----------------------------------------------------------------------------- */

static bool begin_family(struct scrape *s)
{
        const struct layout *l = s->layout;
        const struct mark mark = begin(s, LOAD(&l->length_width) ? LOAD(&l->length_width) : 1);
        s->family_at = mark.at;
        s->family_width = mark.width;
        return !s->failed;
}

static bool end_family(struct scrape *s)
{
        const unsigned width = end(s, (struct mark){s->family_at, s->family_width});
        if (s->family_width != width)
                STORE(&s->layout->length_width, width); /* the guess for the next scrape */
        return !s->failed;
}

/* ---- layout ------------------------------------------------------------------------------- */

static void text_field(struct text *t, unsigned field, const char *bytes, size_t n)
{
        char head[2 * VARINT_MAX], *p = write_varint(head, field << 3 | WIRE_BYTES);
        p = write_varint(p, n);
        text_put(t, head, (size_t)(p - head));
        text_put(t, bytes, n);
}

static void text_string(struct text *t, unsigned field, const char *string)
{
        text_field(t, field, string, strlen(string));
}

/* The field Metric.label. */
static void text_label(struct text *t, size_t i, const char *name, const char *value)
{
        struct text length = {0};
        char head[2 * VARINT_MAX], *p = write_varint(head, METRIC_LABEL << 3 | WIRE_BYTES);
        text_string(&length, LABEL_NAME, name);
        text_string(&length, LABEL_VALUE, value);
        p = write_varint(p, length.len);
        text_put(t, head, (size_t)(p - head));
        text_string(t, LABEL_NAME, name);
        text_string(t, LABEL_VALUE, value);
}

static void text_name(struct text *t, const char *name, bool label)
{
        text_put_string(t, name);
}

static void text_header(struct text *t, const struct prom_family *family, const char *name)
{
        text_string(t, FAMILY_NAME, name);
        text_string(t, FAMILY_HELP, family->help);
        text_put(t, (const char[]){FAMILY_TYPE << 3 | WIRE_VARINT, family->ops->proto_type}, 2);
        if (family->unit)
                text_string(t, FAMILY_UNIT, family->unit);
}

/* The metrics of a state set differ in the label of the state, those of other kinds only in
 * numbers. */
static void text_line(struct text *prefix, struct text *suffix, const struct prom_family *family,
                      const char *name, const struct line *line)
{
        if (family->n_states)
                text_label(suffix, 0, line->label, line->value);
}

static const struct layout_ops layout = {
        .dialect = DIALECT_PROTOBUF,
        .format_bound = prom_format_bound_,
        .put_name = text_name,
        .put_header = text_header,
        .put_label = text_label,
        .put_line = text_line,
};

const struct format_ops prom_protobuf_ = {
        .type = "application/vnd.google.protobuf",
        .proto = "io.prometheus.client.MetricFamily",
        .encoding = "delimited",
        .default_version = true,
        .content_types =
                CONTENT_TYPES("application/vnd.google.protobuf; "
                              "proto=io.prometheus.client.MetricFamily; encoding=delimited",
                              ""),
        .quotes_names = true,
        .exemplars = true,
        .native = true,
        .created = CREATED_ALWAYS,
        .end = "",
        .layout = &layout,
        .begin_family = begin_family,
        .end_family = end_family,
        .counters = put_counters,
        .gauges = put_gauges,
        .histogram = put_histogram,
        .summary = put_summary,
        .stateset = put_stateset,
};
