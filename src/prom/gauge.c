/* SPDX-License-Identifier: Apache-2.0 */
/* Gauges. */
#include "prom/clock.h"
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"

/* The word of the gauge. NULL for no gauge; NULL and an ignored update if it is removed. */
static inline uint64_t *gauge_cell(struct prom_gauge *gauge)
{
        struct prom_series *series = (struct prom_series *)gauge;
        if (unlikely(!series))
                return NULL;
        if (unlikely(LOAD(&series->state) == SERIES_REMOVED)) {
                prom_ignore_update_(series->family);
                return NULL;
        }
        return series->word;
}

void prom_gauge_ignored_(struct prom_gauge *gauge)
{
        if (gauge)
                prom_ignore_update_(((struct prom_series *)gauge)->family);
}

void prom_gauge_add(struct prom_gauge *gauge, double v)
{
        uint64_t *cell = gauge_cell(gauge);
        if (unlikely(!cell))
                return;
        uint64_t old = LOAD(cell);
        while (!__atomic_compare_exchange_n(cell, &old, bits_of(double_of(old) + v), true,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
}

void prom_gauge_sub(struct prom_gauge *gauge, double v)
{
        prom_gauge_add(gauge, -v);
}

void prom_gauge_inc(struct prom_gauge *gauge)
{
        prom_gauge_add(gauge, 1);
}

void prom_gauge_dec(struct prom_gauge *gauge)
{
        prom_gauge_add(gauge, -1);
}

void prom_gauge_set_to_now(struct prom_gauge *gauge)
{
        prom_gauge_set(gauge, (double)prom_wall_ms_() / 1e3);
}

void prom_gauge_set_since_ns(struct prom_gauge *gauge, uint64_t start_ns)
{
        uint64_t now = prom_now_ns();
        prom_gauge_set(gauge, now > start_ns ? (double)(now - start_ns) / 1e9 : 0);
}

static bool read_gauge(const struct prom_series *series, double *ret_value)
{
        if (unlikely(!prom_is_shown_(series)))
                return false;
        *ret_value = double_of(LOAD(series->word));
        return true;
}

double prom_gauge_value(const struct prom_gauge *gauge)
{
        const struct prom_series *series = (const struct prom_series *)gauge;
        if (!series || LOAD_ACQUIRE(&series->state) == SERIES_REMOVED)
                return 0;
        return double_of(LOAD(series->word));
}

static int gauge_point(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                       struct prom_point *ret)
{
        return read_gauge(series, &ret->value);
}

static uint64_t gauge_digest(struct prom_series *series)
{
        return LOAD(series->word);
}

static bool gauge_render(struct scrape *s, struct prom_series *series,
                         const struct series_text *texts, size_t n)
{
        struct gauge_value *values = s->buf->scratch->values.gauges;
        for (size_t i = 0; i < n; i++)
                values[i].shown = read_gauge(&series[i], &values[i].v);
        return s->ops->gauges(s, texts, values, n);
}

static bool gauge_sample(struct scrape *s, const struct sample *sample,
                         const struct series_text *text)
{
        const struct gauge_value value = {.v = sample->value, .shown = true};
        return s->ops->gauges(s, text, &value, 1);
}

const struct kind_ops prom_gauge_ops_ = {
        .phrase = "a gauge",
        .traits = KIND_UNIT | KIND_CHANGES | KIND_WORD | KIND_COLLECTED,
        .text_type = "gauge",
        .open_type = "gauge",
        .proto_type = 1,
        .open_suffix = "",
        .suffixes = {""},
        .digest = gauge_digest,
        .point = gauge_point,
        .n_lines = prom_one_line_,
        .describe_line = prom_describe_one_,
        .render = gauge_render,
        .sample = gauge_sample,
};
