/* SPDX-License-Identifier: Apache-2.0 */
/* Counters. */
#include "prom/baseline.h"
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"
#include "prom/locks.h"
#include "prom/read.h"

#include <math.h>
#include <string.h>

/* Integers below this are counted in the integer cell. */
#define WHOLE_LIMIT 0x1p63

/* ---- updates ------------------------------------------------------------------------------ */

static __attribute__((noinline)) void add_slowly(uint32_t cell, uint64_t n)
{
        if (prom_percpu_make_() && percpu_add(cell, n))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return prom_lose_update_();
        STORE(&slab->cells[cell], LOAD(&slab->cells[cell]) + n);
        prom_slab_give_(slab);
}

static __attribute__((noinline)) void add_part_slowly(uint32_t cell, double v)
{
        if (prom_percpu_make_() && percpu_add_double(cell, v))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return prom_lose_update_();
        STORE(&slab->cells[cell], bits_of(double_of(LOAD(&slab->cells[cell])) + v));
        prom_slab_give_(slab);
}

void prom_counter_inc(struct prom_counter *counter)
{
        if (unlikely(!counter))
                return;
        const uint32_t cell = ((struct prom_series *)counter)->cell;
        if (unlikely(!percpu_add(cell, 1)))
                add_slowly(cell, 1);
}

void prom_counter_add_int(struct prom_counter *counter, uint64_t n)
{
        if (unlikely(!counter))
                return;
        const uint32_t cell = ((struct prom_series *)counter)->cell;
        if (unlikely(!percpu_add(cell, n)))
                add_slowly(cell, n);
}

void prom_counter_add(struct prom_counter *counter, double v)
{
        if (!counter)
                return;
        struct prom_family *family = ((struct prom_series *)counter)->family;
        if (!(v >= 0) || isinf(v)) {
                prom_ignore_update_(family);
                return;
        }
        if (v < WHOLE_LIMIT && v == (double)(uint64_t)v) {
                prom_counter_add_int(counter, (uint64_t)v);
                return;
        }
        if (!LOAD(&family->has_parts))
                STORE(&family->has_parts, true);
        const uint32_t cell = ((struct prom_series *)counter)->cell + COUNTER_APART;
        if (unlikely(!percpu_add_double(cell, v)))
                add_part_slowly(cell, v);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void subtract_counter(const struct prom_series *series, struct counter_value *value)
{
        const uint64_t *baseline = series->cold->baseline;
        value->whole -= baseline[COUNTER_INT];
        value->part = prom_since_baseline_(value->part, baseline[COUNTER_FLOAT]);
}

/* With slab_lock held. */
static void finish_counter(struct prom_series *series, struct counter_value *value)
{
        if (unlikely(series->state == SERIES_REMOVED)) {
                prom_series_settle_(series);
                *value = (struct counter_value){0};
        } else if (unlikely(series->has_baseline)) {
                subtract_counter(series, value);
        }
        value->shown = prom_is_shown_(series);
}

void prom_read_counters_(struct prom_series *series, size_t n, bool with_created,
                         struct counter_value *ret_values)
{
        uint32_t cells[SUM_BATCH];
        for (size_t i = 0; i < n; i++)
                cells[i] = series[i].cell;
        memset(ret_values, 0, n * sizeof(*ret_values));
        pthread_mutex_lock(&prom_slab_lock_);
        const bool with_parts = LOAD(&series->family->has_parts);
        prom_sum_counters_(cells, n, with_parts, ret_values);
        for (size_t i = 0; i < n; i++)
                finish_counter(&series[i], &ret_values[i]);
        for (size_t i = 0; with_created && i < n; i++)
                ret_values[i].created_ms = series[i].cold->created_ms;
        pthread_mutex_unlock(&prom_slab_lock_);
}

double prom_counter_value(const struct prom_counter *counter)
{
        struct counter_value value;
        if (!counter)
                return 0;
        prom_read_counters_((struct prom_series *)counter, 1, false, &value);
        return (double)value.whole + value.part;
}

static int counter_point(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                         struct prom_point *ret)
{
        struct counter_value value;
        prom_read_counters_(series, 1, true, &value);
        ret->value = (double)value.whole + value.part;
        ret->created_ms = value.created_ms;
        return value.shown;
}

/* ---- scrapes ------------------------------------------------------------------------------ */

static bool counter_render(struct scrape *s, struct prom_series *series,
                           const struct series_text *texts, size_t n)
{
        struct counter_value *values = s->buf->scratch->values.counters;
        prom_read_counters_(series, n, s->created, values);
        return s->ops->counters(s, series, texts, values, n);
}

static bool counter_sample(struct scrape *s, const struct sample *sample,
                           const struct series_text *text)
{
        const struct counter_value value = {.part = sample->value, .shown = true};
        return s->ops->counters(s, NULL, text, &value, 1);
}

/* ---- sums ---------------------------------------------------------------------------------- */

static void counter_sums(const struct prom_series *series, uint64_t *ret_words)
{
        struct counter_value value = {0};
        prom_sum_counters_(&series->cell, 1, true, &value);
        ret_words[COUNTER_INT] = value.whole;
        ret_words[COUNTER_FLOAT] = bits_of(value.part);
}

/* The growth of the fractional part, rounded up to an integer. */
static uint64_t ignored_parts(uint64_t before, uint64_t now)
{
        const double added = double_of(now) - double_of(before);
        if (now == before)
                return 0;
        if (!(added >= 1 && added < 0x1p63))
                return 1; /* less than 1, or beyond what an integer can hold */
        const uint64_t whole = (uint64_t)added;
        return whole + ((double)whole < added);
}

static uint64_t counter_updates(const struct prom_family *family, const uint64_t *before,
                                const uint64_t *after)
{
        return after[COUNTER_INT] - before[COUNTER_INT] +
               ignored_parts(before[COUNTER_FLOAT], after[COUNTER_FLOAT]);
}

static void counter_lay_out(struct prom_family *family)
{
        family->n_cells = COUNTER_WORDS;
        family->n_sums = COUNTER_WORDS;
        family->n_exemplars = 1;
}

const struct kind_ops prom_counter_ops_ = {
        .phrase = "a counter",
        .traits = KIND_UNIT | KIND_CHANGES | KIND_CREATED | KIND_GROWS | KIND_COLLECTED,
        .text_type = "counter",
        .open_type = "counter",
        .proto_type = 0,
        .open_suffix = "_total",
        .suffixes = {"", "_total", "_created"},
        .lay_out = counter_lay_out,
        .sums = counter_sums,
        .updates = counter_updates,
        .point = counter_point,
        .n_lines = prom_one_line_,
        .describe_line = prom_describe_one_,
        .render = counter_render,
        .sample = counter_sample,
};
