/* SPDX-License-Identifier: Apache-2.0 */
/* Updating and reading back. */
#include "prom/internal.h"

#include <math.h>

/* Whole numbers below this are counted in the integer word. */
#define WHOLE_LIMIT 0x1p63

static void ignore_update(struct prom_family *family)
{
        COUNT(&family->ignored, 1);
}

/* ---- counters ----------------------------------------------------------------------------- */

void prom_counter_add(struct prom_counter *counter, double v)
{
        if (!counter)
                return;
        struct prom_family *family = ((struct prom_series *)counter)->family;
        if (!(v >= 0) || isinf(v)) {
                ignore_update(family);
                return;
        }
        if (v < WHOLE_LIMIT && v == (double)(uint64_t)v) {
                prom_counter_add_int(counter, (uint64_t)v);
                return;
        }
        if (!LOAD(&family->has_parts))
                STORE(&family->has_parts, true);
        uint64_t *part = prom_cell_(counter->cell) + COUNTER_FLOAT;
        STORE(part, bits_of(double_of(LOAD(part)) + v));
}

double prom_counter_value(const struct prom_counter *counter)
{
        struct counter_value value = {0};
        if (!counter)
                return 0;
        pthread_mutex_lock(&prom_slab_lock_);
        prom_sum_counters_(&counter->cell, 1, true, &value);
        pthread_mutex_unlock(&prom_slab_lock_);
        return (double)value.whole + value.part;
}

/* ---- gauges ------------------------------------------------------------------------------- */

void prom_gauge_set(struct prom_gauge *gauge, double v)
{
        if (gauge)
                STORE(&((struct prom_series *)gauge)->gauge, bits_of(v));
}

void prom_gauge_add(struct prom_gauge *gauge, double v)
{
        if (!gauge)
                return;
        uint64_t *cell = &((struct prom_series *)gauge)->gauge;
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

double prom_gauge_value(const struct prom_gauge *gauge)
{
        return gauge ? double_of(LOAD(&((const struct prom_series *)gauge)->gauge)) : 0;
}

/* ---- histograms --------------------------------------------------------------------------- */

typedef double pair __attribute__((vector_size(16), aligned(8)));
typedef int64_t pair_mask __attribute__((vector_size(16)));

/* How many bounds are below v, which is the index of v's bucket. `bounds` is filled up with +Inf to
 * n, a multiple of 8. Halving steps without a branch down to 32, then counts them all. */
static inline size_t find_bucket(const double *bounds, size_t n, double v)
{
        size_t below = 0;
        while (n > 32) {
                size_t half = (n / 2 + 7) & ~(size_t)7;
                bool upper = bounds[below + half - 1] < v;
                below += upper ? half : 0;
                n = upper ? n - half : half;
        }
        const double *b = bounds + below;
        const pair wanted = {v, v};
        pair_mask count = {0, 0};
        for (size_t i = 0; i < n; i += 8) {
                const pair *p = (const pair *)(b + i);
                count += (p[0] < wanted) + (p[1] < wanted) + (p[2] < wanted) + (p[3] < wanted);
        }
        return below - (size_t)(count[0] + count[1]);
}

void prom_histogram_observe(struct prom_histogram *histogram, double v)
{
        if (unlikely(!histogram))
                return;
        const struct prom_series *series = (const struct prom_series *)histogram;
        const struct prom_family *family = series->family;
        if (unlikely(!isfinite(v))) {
                ignore_update(series->family);
                return;
        }
        uint64_t *block = prom_cell_(series->pub.cell);
        uint64_t *bucket =
                &block[HISTOGRAM_BUCKETS + find_bucket(family->bounds, family->n_padded, v)];
        uint64_t sequence = LOAD(&block[HISTOGRAM_SEQ]);
        double sum = double_of(LOAD(&block[HISTOGRAM_SUM]));

        STORE(&block[HISTOGRAM_SEQ], sequence + 1);
        STORE_RELEASE(&block[HISTOGRAM_SUM], bits_of(sum + v));
        STORE_RELEASE(bucket, LOAD(bucket) + 1);
        STORE_RELEASE(&block[HISTOGRAM_SEQ], sequence + 2);
}

void prom_histogram_observe_since_ns(struct prom_histogram *histogram, uint64_t start_ns)
{
        uint64_t now = prom_now_ns();
        prom_histogram_observe(histogram, now > start_ns ? (double)(now - start_ns) / 1e9 : 0);
}

void prom_histogram_snapshot(const struct prom_histogram *histogram,
                             struct prom_snapshot *ret_snapshot)
{
        const struct prom_series *series = (const struct prom_series *)histogram;
        *ret_snapshot = (struct prom_snapshot){0};
        if (!series)
                return;
        ret_snapshot->n_buckets = series->family->n_buckets;
        pthread_mutex_lock(&prom_slab_lock_);
        prom_sum_histogram_(series->pub.cell, ret_snapshot->n_buckets + 1, ret_snapshot->buckets,
                            &ret_snapshot->sum);
        pthread_mutex_unlock(&prom_slab_lock_);
        for (size_t i = 0; i <= ret_snapshot->n_buckets; i++)
                ret_snapshot->count += ret_snapshot->buckets[i];
}
