/* SPDX-License-Identifier: Apache-2.0 */
/* The text format 0.0.4: copies of pre-rendered lines, and digits. */
#include "prom/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 4096 };

/* Room for n bytes at the end, and some to overshoot into. */
static inline bool reserve(struct prom_buf *buf, size_t n)
{
        if (likely(buf->cap - buf->len > n + LINE_EXTRA))
                return true;
        size_t cap = buf->cap ? buf->cap : BUFFER_FIRST;
        while (cap - buf->len <= n + LINE_EXTRA)
                cap *= 2;
        char *data = realloc(buf->data, cap);
        if (!data)
                return false;
        buf->data = data;
        buf->cap = cap;
        return true;
}

/* Copies in whole units, past the end: the text of a series and the buffer both have room for it.
 */
static inline char *copy_line(char *out, const char *line, size_t n)
{
        for (size_t i = 0; i < n; i += COPY_UNIT)
                memcpy(out + i, line + i, COPY_UNIT);
        return out + n;
}

static inline char *put_u64(char *out, uint64_t n)
{
        if (n < 10)
                *out++ = (char)('0' + n);
        else
                out += prom_format_u64_(n, out);
        *out++ = '\n';
        return out;
}

static inline char *put_double(char *out, double v)
{
        out += prom_format_number(v, out);
        *out++ = '\n';
        return out;
}

static bool render_bytes(struct prom_buf *buf, const char *bytes, size_t n)
{
        if (!reserve(buf, n))
                return false;
        memcpy(buf->data + buf->len, bytes, n);
        buf->len += n;
        return true;
}

/* ---- by kind ------------------------------------------------------------------------------ */

static bool render_counters(struct prom_buf *buf, const struct prom_family *family,
                            struct prom_series *series, size_t n)
{
        struct prom_scratch *scratch = buf->scratch;
        const size_t extra = family->line_extra[0];
        prom_read_counters_(series, n, false, scratch->values);
        for (size_t i = 0; i < n; i++) {
                const struct counter_value *value = &scratch->values[i];
                if (unlikely(!value->shown))
                        continue;
                if (!reserve(buf, series[i].lines_len + extra))
                        return false;
                char *out = copy_line(buf->data + buf->len, series[i].lines[DIALECT_TEXT],
                                      series[i].lines_len + extra);
                if (likely(value->part == 0))
                        out = put_u64(out, value->whole);
                else
                        out = put_double(out, (double)value->whole + value->part);
                buf->len = (size_t)(out - buf->data);
        }
        return true;
}

static bool render_gauges(struct prom_buf *buf, const struct prom_family *family,
                          const struct prom_series *series, size_t n)
{
        const size_t extra = family->line_extra[0];
        for (size_t i = 0; i < n; i++) {
                double value;
                if (unlikely(!prom_read_gauge_(&series[i], &value)))
                        continue;
                if (!reserve(buf, series[i].lines_len + extra))
                        return false;
                char *out = copy_line(buf->data + buf->len, series[i].lines[DIALECT_TEXT],
                                      series[i].lines_len + extra);
                out = put_double(out, value);
                buf->len = (size_t)(out - buf->data);
        }
        return true;
}

static bool render_histogram(struct prom_buf *buf, const struct prom_family *family,
                             struct prom_series *series)
{
        struct prom_snapshot *value = &buf->scratch->histogram;
        const char *line = series->lines[DIALECT_TEXT];
        const size_t n = family->n_buckets + 1;
        uint64_t count = 0;
        if (!prom_read_histogram_(series, value))
                return true;
        for (size_t i = 0; i < family->n_lines; i++) {
                const size_t len = series->lines_len + family->line_extra[i];
                if (!reserve(buf, len))
                        return false;
                char *out = copy_line(buf->data + buf->len, line, len);
                if (i < n)
                        count += value->buckets[i];
                out = i == n ? put_double(out, value->sum) : put_u64(out, count);
                buf->len = (size_t)(out - buf->data);
                line += len;
        }
        return true;
}

/* ---- families ----------------------------------------------------------------------------- */

/* Series from `from` on that lie one after the other, at most SUM_BATCH of them. */
static size_t next_run(const struct prom_family *family, size_t from, size_t n,
                       struct prom_series **ret_series)
{
        const size_t first = family->n_labels ? SERIES_BLOCK_FIRST : 1;
        const unsigned block = 63 - (unsigned)__builtin_clzll(from / first + 1);
        const size_t block_end = first * ((UINT64_C(2) << block) - 1);
        size_t end = block_end < n ? block_end : n;
        *ret_series = prom_series_at_(family, from);
        return end - from < SUM_BATCH ? end - from : SUM_BATCH;
}

static bool render_run(struct prom_buf *buf, const struct prom_family *family,
                       struct prom_series *series, size_t n)
{
        switch (family->kind) {
        case PROM_COUNTER:
                return render_counters(buf, family, series, n);
        case PROM_GAUGE:
        case PROM_INFO:
                return render_gauges(buf, family, series, n);
        case PROM_HISTOGRAM:
                break;
        case PROM_SUMMARY:
        case PROM_STATESET: /* written by the other formats */
                return true;
        }
        for (size_t i = 0; i < n; i++)
                if (!render_histogram(buf, family, &series[i]))
                        return false;
        return true;
}

static bool render_series(struct prom_buf *buf, struct prom_family *family)
{
        const size_t n = LOAD_ACQUIRE(&family->n_series);
        prom_family_scraped_(family);
        const bool written = family->kind != PROM_SUMMARY && family->kind != PROM_STATESET;
        if (written && prom_family_shown_(family) > 0 &&
            !render_bytes(buf, family->header, family->header_len))
                return false;
        for (size_t i = 0; i < n;) {
                struct prom_series *series;
                size_t run = next_run(family, i, n, &series);
                if (!render_run(buf, family, series, run))
                        return false;
                i += run;
        }
        return true;
}

static bool render_samples(struct prom_buf *buf, const struct prom_family *family)
{
        const struct prom_scratch *scratch = buf->scratch;
        for (size_t i = 0; i < scratch->n_per_family; i++) {
                const struct family_samples *samples = &scratch->per_family[i];
                if (samples->family != family || !samples->first)
                        continue;
                if (!render_bytes(buf, family->header, family->header_len))
                        return false;
                for (size_t s = samples->first; s; s = scratch->samples[s - 1].next) {
                        const struct sample *sample = &scratch->samples[s - 1];
                        if (!render_bytes(buf, scratch->text + sample->offset, sample->len))
                                return false;
                }
        }
        return true;
}

static int render(struct prom_registry *registry, struct prom_buf *buf)
{
        if (!buf->scratch)
                buf->scratch = calloc(1, sizeof(*buf->scratch));
        if (!buf->scratch)
                return -ENOMEM;
        int r = prom_list_families_(registry, buf->scratch);
        if (r == 0)
                r = prom_collect_(registry, buf->scratch);
        for (size_t i = 0; r == 0 && i < buf->scratch->n_families; i++) {
                struct prom_family *family = buf->scratch->families[i];
                bool ok = family->collector ? render_samples(buf, family)
                                            : render_series(buf, family);
                r = ok ? 0 : -ENOMEM;
        }
        return r;
}

int prom_render_text(struct prom_registry *registry, struct prom_buf *buf)
{
        buf->len = 0;
        int r = reserve(buf, 1) ? render(registry, buf) : -ENOMEM;
        if (r < 0)
                buf->len = 0;
        if (buf->data)
                buf->data[buf->len] = '\0';
        return r;
}

void prom_buf_release(struct prom_buf *buf)
{
        if (buf->scratch) {
                free(buf->scratch->families);
                free(buf->scratch->per_family);
                free(buf->scratch->samples);
                free(buf->scratch->seen);
                free(buf->scratch->text);
        }
        free(buf->scratch);
        free(buf->data);
        *buf = (struct prom_buf)PROM_BUF_INIT;
}
