/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of classic buckets. */
#include "prom/baseline.h"
#include "prom/buckets.h"
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"
#include "prom/locks.h"
#include "prom/native.h"
#include "prom/read.h"

#include <math.h>
#include <string.h>

/* ---- updates ------------------------------------------------------------------------------ */

static __attribute__((noinline)) void observe_slowly(uint64_t cell, double v)
{
        if (prom_percpu_make_() && percpu_observe(cell, v))
                return;
        struct slab *slab = prom_slab_take_();
        if (!slab)
                return prom_lose_update_();
        prom_pair_add_(prom_pair_at_(slab, cell), v);
        prom_slab_give_(slab);
}

static inline void observe_classic(const struct prom_series *series, double v)
{
        const struct prom_family *family = series->family;
        const size_t bucket = prom_find_bucket_(family->bounds, family->n_padded, v);
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
/* ---- reading ------------------------------------------------------------------------------ */

/* With slab_lock held: sums over all lives. Sets only n_buckets, buckets and sum. */
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
        value->sum = prom_since_baseline_(value->sum, baseline[HISTOGRAM_SUM]);
}

bool prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret)
{
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
        if (series->family->native)
                (void)prom_read_native_(series, ret_snapshot, NULL);
        else
                (void)prom_read_histogram_(series, ret_snapshot);
}

static int histogram_point(struct prom_series *series, uint64_t n_sets,
                           struct prom_scratch *scratch, struct prom_point *ret)
{
        const bool shown = prom_read_histogram_(series, &scratch->histogram);
        ret->histogram = &scratch->histogram;
        ret->created_ms = scratch->histogram.created_ms;
        return shown;
}

/* ---- scrapes ------------------------------------------------------------------------------ */

static bool histogram_render(struct scrape *s, struct prom_series *series,
                             const struct series_text *texts, size_t n)
{
        struct prom_snapshot *value = &s->buf->scratch->histogram;
        for (size_t i = 0; i < n; i++)
                if (prom_read_histogram_(&series[i], value) &&
                    !s->ops->histogram(s, &series[i], &texts[i], value, NULL))
                        return false;
        return true;
}

static bool histogram_sample(struct scrape *s, const struct sample *sample,
                             const struct series_text *text)
{
        struct prom_scratch *scratch = s->buf->scratch;
        prom_sample_histogram_(scratch->gathering, sample, &scratch->histogram);
        return s->ops->histogram(s, NULL, text, &scratch->histogram, NULL);
}

/* ---- sums ---------------------------------------------------------------------------------- */

static void histogram_sums(const struct prom_series *series, uint64_t *ret_words)
{
        struct prom_snapshot value;
        sum_histogram(series, &value);
        ret_words[HISTOGRAM_SUM] = bits_of(value.sum);
        memcpy(&ret_words[HISTOGRAM_BUCKETS], value.buckets,
               (value.n_buckets + 1) * sizeof(uint64_t));
}

static uint64_t histogram_updates(const struct prom_family *family, const uint64_t *before,
                                  const uint64_t *after)
{
        uint64_t n = 0;
        for (unsigned i = HISTOGRAM_BUCKETS; i < family->n_sums; i++)
                n += after[i] - before[i];
        return n;
}

/* At least two pairs: COUNTER_WORDS cells would be allocated as those of a counter. */
static void histogram_lay_out(struct prom_family *family)
{
        const unsigned n = (unsigned)family->n_buckets + 1;
        family->n_cells = PAIR_WORDS * (n > 1 ? n : 2);
        family->n_sums = HISTOGRAM_BUCKETS + n;
        family->n_exemplars = n;
}

const struct kind_ops prom_histogram_ops_ = {
        .phrase = "a histogram",
        .reserved_label = "le",
        .traits = KIND_BUCKETS | KIND_UNIT | KIND_CHANGES | KIND_CREATED | KIND_COLLECTED,
        .text_type = "histogram",
        .open_type = "histogram",
        .proto_type = 4,
        .open_suffix = "",
        .suffixes = {"", "_bucket", "_sum", "_count", "_created"},
        .lay_out = histogram_lay_out,
        .sums = histogram_sums,
        .updates = histogram_updates,
        .point = histogram_point,
        .n_lines = prom_bucket_lines_,
        .describe_line = prom_describe_bucket_,
        .render = histogram_render,
        .sample = histogram_sample,
};
