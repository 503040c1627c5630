/* SPDX-License-Identifier: Apache-2.0 */
/* What a series shows: the sums over all slabs, without what was counted in its earlier lives. */
#include "prom/read.h"

#include "prom/clock.h"
#include "prom/grace.h"
#include "prom/native.h"

#include <math.h>
#include <string.h>
#include <time.h>

void prom_series_restamp_(struct prom_series *series)
{
        int64_t *created_ms = &series->cold->created_ms;
        const int64_t now_ms = prom_wall_ms_();
        *created_ms = now_ms > *created_ms ? now_ms : *created_ms + 1;
}

/* What a sum grew by in this life. One that had overflowed before stays infinite: by how much it has
 * grown since is in no cell, and Inf - Inf would be a NaN, which no counter may show. */
static double since_baseline(double sum, uint64_t baseline)
{
        const double before = double_of(baseline);
        return isfinite(before) ? sum - before : before;
}

/* ---- counters ----------------------------------------------------------------------------- */

static void subtract_counter(const struct prom_series *series, struct counter_value *value)
{
        const uint64_t *baseline = series->cold->baseline;
        value->whole -= baseline[COUNTER_INT];
        value->part = since_baseline(value->part, baseline[COUNTER_FLOAT]);
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

/* ---- gauges ------------------------------------------------------------------------------- */

bool prom_read_gauge_(const struct prom_series *series, uint64_t n_sets, double *ret_value)
{
        if (unlikely(!prom_is_shown_(series)))
                return false;
        if (series->family->kind == PROM_INFO) {
                *ret_value = 1;
                return LOAD(&series->cold->set_number) <= n_sets;
        }
        *ret_value = double_of(LOAD(series->word));
        return true;
}

bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits)
{
        if (unlikely(!prom_is_shown_(series)))
                return false;
        *ret_bits = LOAD(series->word);
        return true;
}

uint64_t prom_stateset_value(const struct prom_stateset *stateset)
{
        const struct prom_series *series = (const struct prom_series *)stateset;
        if (!series || LOAD_ACQUIRE(&series->state) == SERIES_REMOVED)
                return 0;
        return LOAD(series->word);
}

double prom_gauge_value(const struct prom_gauge *gauge)
{
        const struct prom_series *series = (const struct prom_series *)gauge;
        if (!series || LOAD_ACQUIRE(&series->state) == SERIES_REMOVED)
                return 0;
        return double_of(LOAD(series->word));
}

/* ---- histograms --------------------------------------------------------------------------- */

/* With slab_lock held: the sums since ever. Only n_buckets, buckets and sum. */
static void sum_histogram(const struct prom_series *series, struct prom_snapshot *ret)
{
        const size_t n = series->family->n_buckets + 1;
        ret->n_buckets = n - 1;
        ret->sum = 0;
        memset(ret->buckets, 0, n * sizeof(ret->buckets[0]));
        prom_sum_histogram_(series->cell, n, ret->buckets, &ret->sum);
}

static void subtract_histogram(const struct prom_series *series, struct prom_snapshot *value)
{
        const uint64_t *baseline = series->cold->baseline;
        for (size_t i = 0; i <= value->n_buckets; i++)
                value->buckets[i] -= baseline[HISTOGRAM_BUCKETS + i];
        value->sum = since_baseline(value->sum, baseline[HISTOGRAM_SUM]);
}

int prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret)
{
        if (series->family->native)
                return prom_read_native_(series, ret, NULL);
        pthread_mutex_lock(&prom_slab_lock_);
        const bool removed = series->state == SERIES_REMOVED;
        const bool shown = prom_is_shown_(series);
        if (unlikely(removed))
                prom_series_settle_(series);
        else
                sum_histogram(series, ret);
        if (unlikely(series->has_baseline && !removed))
                subtract_histogram(series, ret);
        ret->created_ms = series->cold->created_ms;
        pthread_mutex_unlock(&prom_slab_lock_);
        ret->count = 0;
        for (size_t i = 0; !removed && i <= ret->n_buckets; i++)
                ret->count += ret->buckets[i];
        return shown;
}

void prom_histogram_snapshot(const struct prom_histogram *histogram,
                             struct prom_snapshot *ret_snapshot)
{
        struct prom_series *series = (struct prom_series *)histogram;
        *ret_snapshot = (struct prom_snapshot){0};
        if (!series)
                return;
        ret_snapshot->n_buckets = series->family->n_buckets;
        (void)prom_read_histogram_(series, ret_snapshot);
}

/* ---- removed ones ------------------------------------------------------------------------- */

void prom_series_sums_(const struct prom_series *series, uint64_t *ret_words)
{
        struct counter_value counter = {0};
        struct prom_snapshot histogram;
        switch (series->family->kind) {
        case PROM_COUNTER:
                prom_sum_counters_(&series->cell, 1, true, &counter);
                ret_words[COUNTER_INT] = counter.whole;
                ret_words[COUNTER_FLOAT] = bits_of(counter.part);
                break;
        case PROM_HISTOGRAM:
                sum_histogram(series, &histogram);
                ret_words[HISTOGRAM_SUM] = bits_of(histogram.sum);
                memcpy(&ret_words[HISTOGRAM_BUCKETS], histogram.buckets,
                       (histogram.n_buckets + 1) * sizeof(uint64_t));
                break;
        default:
                break;
        }
}

/* What came since the last look is dropped with its epoch. */
static void settle_sparse(struct prom_series *series)
{
        const struct native_sums *sums = prom_native_sum_(series);
        if (!sums || sums->count == 0)
                return;
        COUNT(&series->family->ignored, sums->count);
        prom_native_reset_(series);
}

/* What was added in parts, rounded up to what can be counted. */
static uint64_t ignored_parts(uint64_t before, uint64_t now)
{
        const double added = double_of(now) - double_of(before);
        if (now == before)
                return 0;
        if (!(added >= 1 && added < 0x1p63))
                return 1; /* with less, and with what cannot be said */
        const uint64_t whole = (uint64_t)added;
        return whole + ((double)whole < added);
}

void prom_series_settle_(struct prom_series *series)
{
        if (prom_is_sparse_(series->family))
                return settle_sparse(series);
        uint64_t words[SERIES_CELLS_MAX], ignored = 0;
        uint64_t *baseline = series->cold->baseline;
        const unsigned n = prom_family_words_(series->family);
        if (n == 0)
                return;
        prom_series_sums_(series, words);
        if (series->family->kind == PROM_COUNTER) {
                ignored = words[COUNTER_INT] - baseline[COUNTER_INT];
                ignored += ignored_parts(baseline[COUNTER_FLOAT], words[COUNTER_FLOAT]);
        } else {
                for (unsigned i = HISTOGRAM_BUCKETS; i < n; i++)
                        ignored += words[i] - baseline[i];
        }
        if (!ignored)
                return;
        COUNT(&series->family->ignored, ignored);
        memcpy(baseline, words, n * sizeof(*baseline));
}
