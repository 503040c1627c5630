/* SPDX-License-Identifier: Apache-2.0 */
/* The text format and OpenMetrics: copies of lines made before, and digits. */
#include "prom/digits.h"
#include "prom/read.h"
#include "prom/render.h"

#include <string.h>

/* As memcpy(), for the usual lengths without a call or a loop: the upper part may overlap the lower
 * one. */
static inline char *copy_line(char *out, const char *line, size_t n)
{
        if (likely(n >= 32 && n <= 64)) {
                memcpy(out, line, 32);
                memcpy(out + n - 32, line + n - 32, 32);
        } else if (likely(n > 64 && n <= 96)) {
                memcpy(out, line, 64);
                memcpy(out + n - 32, line + n - 32, 32);
        } else {
                memcpy(out, line, n);
        }
        return out + n;
}

static inline char *put_double(char *out, double v)
{
        return out + prom_format_number(v, out);
}

/* Milliseconds since 1970 as seconds. */
static char *put_time(char *out, int64_t ms)
{
        const uint64_t n = ms < 0 ? 0 : (uint64_t)ms;
        out = put_digits(out, n / 1000);
        *out++ = '.';
        *out++ = (char)('0' + n / 100 % 10);
        *out++ = (char)('0' + n / 10 % 10);
        *out++ = (char)('0' + n % 10);
        return out;
}

static inline size_t part_len(const struct line_part *part)
{
        return part->prefix_len + part->suffix_len;
}

static inline void set_end(struct scrape *s, const char *end)
{
        s->buf->len = (size_t)(end - s->buf->data);
}

/* ---- what OpenMetrics has more ------------------------------------------------------------ */

static char *put_quoted(char *out, const char *s)
{
        *out++ = '"';
        for (; *s; s++) {
                if (*s == '\n' || *s == '\\' || *s == '"')
                        *out++ = '\\';
                *out++ = *s;
                if (*s == '\n')
                        out[-1] = 'n';
        }
        *out++ = '"';
        return out;
}

/* Escaped as the scrape wants it; in quotes where that leaves it open. */
static char *put_label_name(const struct scrape *s, char *out, const char *name)
{
        char escaped[ESCAPED_NAME_MAX + 1];
        prom_escape_name_(name, s->format.escaping, true, escaped);
        return prom_is_legacy_name_(escaped, true) ? stpcpy(out, escaped)
                                                   : put_quoted(out, escaped);
}

/* " # {trace_id="..."} 0.5 1700000000.123" behind the number, and the end of the line. */
static __attribute__((noinline)) bool
end_with_exemplar(struct scrape *s, const struct prom_series *series, size_t slot)
{
        struct exemplar *exemplar = &s->buf->scratch->exemplar;
        if (!prom_has_exemplars_(series) || !prom_read_exemplar_(series, slot, exemplar)) {
                s->buf->data[s->buf->len++] = '\n'; /* LINE_EXTRA has room for it */
                return true;
        }
        if (!prom_reserve_(s->buf, 2 * EXEMPLAR_TEXT_MAX + 6 * PROM_EXEMPLAR_LABELS_MAX + 8))
                return false;
        char *out = stpcpy(s->buf->data + s->buf->len, " # {");
        const char *text = exemplar->text;
        for (unsigned i = 0; i < exemplar->n_labels; i++) {
                if (i)
                        *out++ = ',';
                out = put_label_name(s, out, text);
                *out++ = '=';
                text += strlen(text) + 1;
                out = put_quoted(out, text);
                text += strlen(text) + 1;
        }
        *out++ = '}';
        *out++ = ' ';
        set_end(s, out);
        if (!prom_reserve_(s->buf, 2 * PROM_NUMBER_MAX))
                return false;
        out = put_double(s->buf->data + s->buf->len, exemplar->value);
        *out++ = ' ';
        out = put_time(out, exemplar->time_ms);
        *out++ = '\n';
        set_end(s, out);
        return true;
}

static inline bool end_line(struct scrape *s, const struct prom_series *series, size_t slot)
{
        if (unlikely(s->exemplars))
                return end_with_exemplar(s, series, slot);
        s->buf->data[s->buf->len++] = '\n';
        return true;
}

static bool put_created(struct scrape *s, const struct series_text *text, int64_t created_ms)
{
        const struct rendering *r = s->rendering;
        const struct line_part *part = &r->parts[r->n_lines];
        if (!prom_reserve_(s->buf, part_len(part) + text->labels_len))
                return false;
        char *out = s->buf->data + s->buf->len;
        out = mempcpy(out, part->prefix, part->prefix_len);
        out = mempcpy(out, text->text + r->parts[0].prefix_len, text->labels_len);
        out = mempcpy(out, part->suffix, part->suffix_len);
        out = put_time(out, created_ms);
        *out++ = '\n';
        set_end(s, out);
        return true;
}

/* ---- by kind ------------------------------------------------------------------------------ */

static inline char *put_counter(char *out, const struct counter_value *value)
{
        if (likely(value->part == 0))
                return put_any(out, value->whole);
        return put_double(out, (double)value->whole + value->part);
}

/* Without exemplars and times of creation. */
static bool render_mere_counters(struct scrape *s, const struct counter_value *values,
                                 const struct series_text *texts, size_t n)
{
        const size_t extra = part_len(&s->rendering->parts[0]);
        struct prom_buf *buf = s->buf;
        char *out = buf->data + buf->len;
        for (size_t i = 0; i < n; i++) {
                if (unlikely(!values[i].shown))
                        continue;
                const size_t len = texts[i].labels_len + extra;
                buf->len = (size_t)(out - buf->data);
                if (unlikely(!prom_reserve_(buf, len)))
                        return false;
                out = copy_line(buf->data + buf->len, texts[i].text, len);
                out = put_counter(out, &values[i]);
                *out++ = '\n';
        }
        set_end(s, out);
        return true;
}

static bool render_counters(struct scrape *s, struct prom_series *series,
                            const struct series_text *texts, size_t n)
{
        const size_t extra = part_len(&s->rendering->parts[0]);
        struct counter_value *values = s->buf->scratch->values;
        prom_read_counters_(series, n, s->created, values);
        if (likely(!s->created && !s->exemplars))
                return render_mere_counters(s, values, texts, n);
        for (size_t i = 0; i < n; i++) {
                if (unlikely(!values[i].shown))
                        continue;
                const size_t len = texts[i].labels_len + extra;
                if (!prom_reserve_(s->buf, len))
                        return false;
                char *out = copy_line(s->buf->data + s->buf->len, texts[i].text, len);
                set_end(s, put_counter(out, &values[i]));
                if (!end_line(s, &series[i], 0) ||
                    (s->created && !put_created(s, &texts[i], values[i].created_ms)))
                        return false;
        }
        return true;
}

static bool render_gauges(struct scrape *s, const struct prom_series *series,
                          const struct series_text *texts, size_t n)
{
        const size_t extra = part_len(&s->rendering->parts[0]);
        for (size_t i = 0; i < n; i++) {
                double value;
                if (unlikely(!prom_read_gauge_(&series[i], s->n_sets, &value)))
                        continue;
                const size_t len = texts[i].labels_len + extra;
                if (!prom_reserve_(s->buf, len))
                        return false;
                char *out = copy_line(s->buf->data + s->buf->len, texts[i].text, len);
                out = put_double(out, value);
                *out++ = '\n';
                set_end(s, out);
        }
        return true;
}

/* Copies line number i of a series and steps behind it. */
static inline char *next_line(struct scrape *s, const struct series_text *text, size_t i,
                              const char **line)
{
        const size_t len = text->labels_len + part_len(&s->rendering->parts[i]);
        if (!prom_reserve_(s->buf, len))
                return NULL;
        char *out = copy_line(s->buf->data + s->buf->len, *line, len);
        *line += len;
        return out;
}

/* OpenMetrics takes sums for counters: they are forbidden once a value below 0 was observed. A
 * histogram without sum is to have no count either. */
static bool has_sums(const struct scrape *s)
{
        return s->rendering->dialect == DIALECT_TEXT || !LOAD(&s->rendering->family->has_negative);
}

/* The first n_lines of a histogram, whose buckets have n, without exemplars. */
static bool render_lines(struct scrape *s, const struct series_text *text, size_t n_lines, size_t n,
                         const struct prom_snapshot *value)
{
        const uint32_t *part_lens = s->rendering->part_lens;
        const size_t labels_len = text->labels_len;
        const char *line = text->text;
        uint64_t count = 0;
        if (!prom_reserve_(s->buf, s->rendering->parts_len + n_lines * (labels_len + LINE_EXTRA)))
                return false;
        char *out = s->buf->data + s->buf->len;
        for (size_t i = 0; i < n_lines; i++) {
                const size_t len = labels_len + part_lens[i];
                out = copy_line(out, line, len);
                line += len;
                if (i < n)
                        count += value->buckets[i];
                out = unlikely(i == n) ? put_double(out, value->sum) : put_digits(out, count);
                *out++ = '\n';
        }
        set_end(s, out);
        return true;
}

static bool render_with_exemplars(struct scrape *s, struct prom_series *series,
                                  const struct series_text *text, size_t n_lines, size_t n,
                                  const struct prom_snapshot *value)
{
        const char *line = text->text;
        uint64_t count = 0;
        for (size_t i = 0; i < n_lines; i++) {
                char *out = next_line(s, text, i, &line);
                if (!out)
                        return false;
                if (i < n)
                        count += value->buckets[i];
                out = i == n ? put_double(out, value->sum) : put_digits(out, count);
                set_end(s, out);
                if (i < n && s->rendering->family->classic) {
                        if (!end_line(s, series, i))
                                return false;
                } else {
                        s->buf->data[s->buf->len++] = '\n';
                }
        }
        return true;
}

static bool render_histogram(struct scrape *s, struct prom_series *series,
                             const struct series_text *text)
{
        struct prom_snapshot *value = &s->buf->scratch->histogram;
        const size_t n = s->rendering->family->n_buckets + 1;
        const int shown = prom_read_histogram_(series, value);
        if (shown <= 0)
                return shown == 0;
        const size_t n_lines = has_sums(s) ? s->rendering->n_lines : n;
        if (unlikely(s->exemplars) ? !render_with_exemplars(s, series, text, n_lines, n, value)
                                   : !render_lines(s, text, n_lines, n, value))
                return false;
        return !s->created || put_created(s, text, value->created_ms);
}

/* May the line be shown? OpenMetrics forbids quantiles below 0 too. */
static bool shows_line(const struct scrape *s, const struct prom_quantile_snapshot *value, size_t i)
{
        if (i < value->n_quantiles)
                return s->rendering->dialect == DIALECT_TEXT || !(value->values[i] < 0);
        return i != value->n_quantiles || has_sums(s);
}

static bool render_summary(struct scrape *s, struct prom_series *series,
                           const struct series_text *text)
{
        struct prom_quantile_snapshot *value = &s->buf->scratch->summary;
        const char *line = text->text;
        const int shown = prom_read_summary_(series, value);
        if (shown <= 0)
                return shown == 0;
        for (size_t i = 0; i < s->rendering->n_lines; i++) {
                char *out = next_line(s, text, i, &line);
                if (!out)
                        return false;
                if (!shows_line(s, value, i)) /* it was copied past the end, where it counts not */
                        continue;
                if (i < value->n_quantiles)
                        out = put_double(out, value->values[i]);
                else if (i == value->n_quantiles)
                        out = put_double(out, value->sum);
                else
                        out = put_digits(out, value->count);
                *out++ = '\n';
                set_end(s, out);
        }
        return !s->created || put_created(s, text, value->created_ms);
}

static bool render_stateset(struct scrape *s, const struct prom_series *series,
                            const struct series_text *text)
{
        const char *line = text->text;
        uint64_t bits;
        if (!prom_read_stateset_(series, &bits))
                return true;
        for (size_t i = 0; i < s->rendering->n_lines; i++) {
                char *out = next_line(s, text, i, &line);
                if (!out)
                        return false;
                *out++ = (char)('0' + (bits >> i & 1));
                *out++ = '\n';
                set_end(s, out);
        }
        return true;
}

bool prom_text_series_(struct scrape *s, struct prom_series *series,
                       const struct series_text *texts, size_t n)
{
        bool ok = true;
        switch (s->rendering->family->kind) {
        case PROM_COUNTER:
                return render_counters(s, series, texts, n);
        case PROM_GAUGE:
        case PROM_INFO:
                return render_gauges(s, series, texts, n);
        case PROM_HISTOGRAM:
                for (size_t i = 0; ok && i < n; i++)
                        ok = render_histogram(s, &series[i], &texts[i]);
                break;
        case PROM_STATESET:
                for (size_t i = 0; ok && i < n; i++)
                        ok = render_stateset(s, &series[i], &texts[i]);
                break;
        case PROM_SUMMARY:
                for (size_t i = 0; ok && i < n; i++)
                        ok = render_summary(s, &series[i], &texts[i]);
                break;
        }
        return ok;
}

/* Line number i with these labels, but its number. */
static char *begin_sample(struct scrape *s, size_t i, const char *labels, size_t len)
{
        const struct line_part *part = &s->rendering->parts[i];
        if (!prom_reserve_(s->buf, part_len(part) + len))
                return NULL;
        char *out = s->buf->data + s->buf->len;
        out = mempcpy(out, part->prefix, part->prefix_len);
        out = mempcpy(out, labels, len);
        return mempcpy(out, part->suffix, part->suffix_len);
}

static void end_sample(struct scrape *s, char *out)
{
        *out++ = '\n';
        set_end(s, out);
}

bool prom_text_sample_(struct scrape *s, const char *values, double v)
{
        char *labels = s->buf->scratch->labels;
        char *out = begin_sample(s, 0, labels, prom_render_labels_(s->rendering, values, labels));
        if (!out)
                return false;
        end_sample(s, put_double(out, v));
        return true;
}

bool prom_text_histogram_sample_(struct scrape *s, const char *values,
                                 const struct prom_snapshot *value)
{
        char *labels = s->buf->scratch->labels;
        const size_t len = prom_render_labels_(s->rendering, values, labels);
        const size_t n = value->n_buckets + 1;
        const size_t n_lines = has_sums(s) ? s->rendering->n_lines : n;
        uint64_t count = 0;
        for (size_t i = 0; i < n_lines; i++) {
                char *out = begin_sample(s, i, labels, len);
                if (!out)
                        return false;
                if (i < n)
                        count += value->buckets[i];
                end_sample(s, i == n ? put_double(out, value->sum) : put_digits(out, count));
        }
        return true;
}
