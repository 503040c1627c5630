/* SPDX-License-Identifier: Apache-2.0 */
/* Updating and reading back. */
#include "prom/clock.h"
#include "prom/native.h"
#include "prom/read.h"

#include <math.h>

/* Whole numbers below this are counted in the integer word. */
#define WHOLE_LIMIT 0x1p63

static void ignore_update(struct prom_family *family)
{
        COUNT(&family->ignored, 1);
}

static __attribute__((noinline)) void lose(void)
{
        COUNT(&prom_lost_updates_, 1);
}

/* ---- counters ----------------------------------------------------------------------------- */

static __attribute__((noinline)) void add_slowly(uint32_t cell, uint64_t n)
{
        if (prom_percpu_make_() && percpu_add(cell, n))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return lose();
        STORE(&slab->cells[cell], LOAD(&slab->cells[cell]) + n);
        prom_slab_give_(slab);
}

static __attribute__((noinline)) void add_part_slowly(uint32_t cell, double v)
{
        if (prom_percpu_make_() && percpu_add_double(cell, v))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return lose();
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
                ignore_update(family);
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

/* ---- gauges ------------------------------------------------------------------------------- */

/* NULL, and counted, if there is nothing to update. */
static inline uint64_t *gauge_cell(struct prom_gauge *gauge)
{
        struct prom_series *series = (struct prom_series *)gauge;
        if (unlikely(!series))
                return NULL;
        if (unlikely(LOAD(&series->state) == SERIES_REMOVED)) {
                ignore_update(series->family);
                return NULL;
        }
        return series->word;
}

void prom_gauge_ignored_(struct prom_gauge *gauge)
{
        if (gauge)
                ignore_update(((struct prom_series *)gauge)->family);
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

/* ---- state sets -------------------------------------------------------------------------- */

static inline struct prom_series *live_states(struct prom_stateset *stateset, size_t state)
{
        struct prom_series *series = (struct prom_series *)stateset;
        if (unlikely(!series))
                return NULL;
        if (unlikely(LOAD(&series->state) == SERIES_REMOVED || state >= series->family->n_states)) {
                ignore_update(series->family);
                return NULL;
        }
        return series;
}

void prom_stateset_set(struct prom_stateset *stateset, size_t state, int holds)
{
        struct prom_series *series = live_states(stateset, state);
        if (!series)
                return;
        if (holds)
                __atomic_fetch_or(series->word, UINT64_C(1) << state, __ATOMIC_RELAXED);
        else
                __atomic_fetch_and(series->word, ~(UINT64_C(1) << state), __ATOMIC_RELAXED);
}

void prom_stateset_choose(struct prom_stateset *stateset, size_t state)
{
        struct prom_series *series = live_states(stateset, state);
        if (series)
                STORE(series->word, UINT64_C(1) << state);
}

/* ---- histograms --------------------------------------------------------------------------- */

typedef double pair __attribute__((vector_size(16), aligned(8)));
typedef int64_t pair_mask __attribute__((vector_size(16)));

/* Minus how many of eight bounds are below, in two parts. */
static inline pair_mask below_of(const double *bounds, pair wanted)
{
        const pair *p = (const pair *)bounds;
        return (p[0] < wanted) + (p[1] < wanted) + (p[2] < wanted) + (p[3] < wanted);
}

/* How many bounds are below v, which is the index of v's bucket. `bounds` is filled up with +Inf to
 * n, a multiple of 8. Halving steps without a branch down to 32, then counts them all; those of the
 * usual number without a loop. */
static inline size_t find_bucket(const double *bounds, size_t n, double v)
{
        const pair wanted = {v, v};
        pair_mask count = {0, 0};
        size_t below = 0;
        if (likely(n == 16)) {
                count = below_of(bounds, wanted) + below_of(bounds + 8, wanted);
                return -(size_t)(count[0] + count[1]);
        }
        while (n > 32) {
                size_t half = (n / 2 + 7) & ~(size_t)7;
                bool upper = bounds[below + half - 1] < v;
                below += upper ? half : 0;
                n = upper ? n - half : half;
        }
        for (size_t i = 0; i < n; i += 8)
                count += below_of(bounds + below + i, wanted);
        return below - (size_t)(count[0] + count[1]);
}

size_t prom_find_bucket_(const struct prom_family *family, double v)
{
        return find_bucket(family->bounds, family->n_padded, v);
}

static __attribute__((noinline)) void observe_slowly(uint64_t cell, double v)
{
        if (prom_percpu_make_() && percpu_observe(cell, v))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return lose();
        prom_pair_add_(prom_pair_at_(slab, cell), v);
        prom_slab_give_(slab);
}

static inline void observe_classic(const struct prom_series *series, double v)
{
        const struct prom_family *family = series->family;
        const size_t bucket = find_bucket(family->bounds, family->n_padded, v);
        const uint64_t cell = series->cell + PAIR_WORDS * bucket;
        if (unlikely(!percpu_observe(cell, v)))
                observe_slowly(cell, v);
}

void prom_histogram_observe(struct prom_histogram *histogram, double v)
{
        struct prom_series *series = (struct prom_series *)histogram;
        if (unlikely(!series))
                return;
        if (series->family->native)
                prom_native_observe_(series, v);
        else if (likely(bits_of(v) < bits_of(INFINITY)) || prom_admits_(series->family, v))
                observe_classic(series, v);
}

void prom_histogram_observe_since_ns(struct prom_histogram *histogram, uint64_t start_ns)
{
        uint64_t now = prom_now_ns();
        prom_histogram_observe(histogram, now > start_ns ? (double)(now - start_ns) / 1e9 : 0);
}
