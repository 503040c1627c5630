/* SPDX-License-Identifier: Apache-2.0 */
/* Reading native histograms, and their row of operations. */
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"
#include "prom/locks.h"
#include "prom/native.h"
#include "prom/read.h"

#include <errno.h>
#include <string.h>

static void fill_native(const struct native_sums *from, struct prom_native_snapshot *ret)
{
        ret->schema = from->schema;
        ret->zero_threshold = from->zero_threshold;
        ret->zero_count = from->zeros;
        ret->count = from->count;
        ret->sum = from->sum;
        ret->n_positive = 0;
        for (size_t i = 0; i < from->n; i++) {
                ret->n_positive += !(from->entries[i].tag & 1);
                ret->buckets[i] = (struct prom_native_bucket){native_index(from->entries[i].tag),
                                                              from->entries[i].count};
        }
        ret->n_negative = from->n - ret->n_positive;
}

/* Without classic buckets, all observations are in +Inf. */
static void fill_classic(const struct native *native, const struct native_sums *from,
                         struct prom_snapshot *ret)
{
        ret->count = from->count;
        ret->sum = from->sum;
        ret->n_buckets = native->n_classic ? native->n_classic - 1 : 0;
        ret->buckets[0] = from->count;
        if (native->n_classic)
                memcpy(ret->buckets, from->classic, native->n_classic * sizeof(ret->buckets[0]));
}

/* The reset drops the updates since the series was last settled, with their epoch. */
void prom_native_settle_(struct prom_series *series)
{
        const struct native_sums *from = prom_native_sum_(series);
        if (!from || from->count == 0)
                return;
        COUNT(&series->family->ignored, from->count);
        prom_native_reset_(series);
}

uint64_t prom_native_digest_(struct prom_series *series)
{
        const struct native_sums *from = prom_native_sum_(series);
        return from ? from->count ^ bits_of(from->sum) : 0;
}

int prom_read_native_(struct prom_series *series, struct prom_snapshot *ret_classic,
                      struct prom_native_snapshot *ret_native)
{
        int shown = -ENOMEM;
        pthread_mutex_lock(&prom_slab_lock_);
        const int64_t created_ms = series->cold->created_ms;
        if (unlikely(series->state == SERIES_REMOVED))
                prom_native_settle_(series);
        const struct native_sums *from = prom_native_sum_limited_(series);
        if (from) {
                shown = prom_is_shown_(series);
                if (ret_native) {
                        fill_native(from, ret_native);
                        ret_native->created_ms = created_ms;
                }
                if (ret_classic) {
                        fill_classic(series->native, from, ret_classic);
                        ret_classic->created_ms = created_ms;
                }
        }
        pthread_mutex_unlock(&prom_slab_lock_);
        return shown;
}

int prom_histogram_native_snapshot(const struct prom_histogram *histogram,
                                   struct prom_native_snapshot *ret_snapshot)
{
        struct prom_series *series = (struct prom_series *)histogram;
        if (!series || !series->family->native)
                return -EINVAL;
        const int r = prom_read_native_(series, NULL, ret_snapshot);
        return r < 0 ? r : 0;
}

/* ---- the row of a histogram with native buckets --------------------------------------------- */

static int native_point(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                        struct prom_point *ret)
{
        const int shown = prom_read_native_(series, &scratch->histogram, &scratch->native);
        ret->histogram = &scratch->histogram;
        ret->native = &scratch->native;
        ret->created_ms = scratch->histogram.created_ms;
        return shown;
}

/* Formats without native buckets show the classic ones, or only +Inf. */
static bool native_render(struct scrape *s, struct prom_series *series,
                          const struct series_text *texts, size_t n)
{
        struct prom_snapshot *value = &s->buf->scratch->histogram;
        struct prom_native_snapshot *native = s->ops->native ? &s->buf->scratch->native : NULL;
        for (size_t i = 0; i < n; i++) {
                const int shown = prom_read_native_(&series[i], value, native);
                if (shown < 0 ||
                    (shown && !s->ops->histogram(s, &series[i], &texts[i], value, native)))
                        return false;
        }
        return true;
}

static void native_lay_out(struct prom_family *family)
{
        family->n_cells = 1; /* the address of a block */
        family->n_exemplars =
                family->classic ? (unsigned)family->n_buckets + 1 : PROM_NATIVE_EXEMPLARS;
        family->exemplar_ring = !family->classic;
}

const struct kind_ops prom_native_ops_ = {
        .phrase = "a histogram",
        .reserved_label = "le",
        .traits = KIND_BUCKETS | KIND_UNIT | KIND_CHANGES | KIND_SPARSE | KIND_CREATED,
        .text_type = "histogram",
        .open_type = "histogram",
        .proto_type = 4,
        .open_suffix = "",
        .suffixes = {"", "_bucket", "_sum", "_count", "_created"},
        .lay_out = native_lay_out,
        .init = prom_native_init_,
        .release = prom_native_release_,
        .reset = prom_native_reset_,
        .settle = prom_native_settle_,
        .digest = prom_native_digest_,
        .point = native_point,
        .n_lines = prom_bucket_lines_,
        .describe_line = prom_describe_bucket_,
        .render = native_render,
};
