/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summaries: a sketch of sparse buckets (native.h) that only grows, and quantiles of its growth
 * since an earlier scrape. So updates need not read a clock; the window moves when a scrape or
 * snapshot reads the summary.
 */
#include "prom/native.h"

#include "prom/clock.h"
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
        WINDOW_STEPS = 5,              /* sketches per window */
        WINDOW_MAX = WINDOW_STEPS + 2, /* plus one before the window, and one for a late scrape */
};

/* The sums at an earlier time. */
struct sketch {
        uint64_t time_ns;
        uint64_t zeros;
        int schema;
        struct native_entry *entries;
        size_t n;
        size_t cap;
};

/* Under slab_lock. Sketches are sorted from the oldest to the newest. */
struct summary_window {
        uint64_t epoch;
        size_t n;
        struct sketch sketches[WINDOW_MAX];
};

void prom_summary_observe(struct prom_summary *summary, double v)
{
        struct prom_series *series = (struct prom_series *)summary;
        if (likely(series))
                prom_native_observe_(series, v);
}

void prom_summary_observe_since_ns(struct prom_summary *summary, uint64_t start_ns)
{
        const uint64_t now = prom_now_ns();
        prom_summary_observe(summary, now > start_ns ? (double)(now - start_ns) / 1e9 : 0);
}

/* ---- the window, with slab_lock held ------------------------------------------------------ */

/* Moves the oldest sketch to the end, where its memory is reused. */
static void rotate(struct summary_window *window)
{
        const struct sketch oldest = window->sketches[0];
        window->n--;
        memmove(&window->sketches[0], &window->sketches[1],
                window->n * sizeof(window->sketches[0]));
        window->sketches[window->n] = oldest;
}

/* The sketch at the start of the window, whose growth since then the quantiles cover; NULL: they
 * cover all. Drops sketches until the oldest is the last one that is at least max_age old. */
static const struct sketch *window_base(const struct prom_series *series,
                                        struct summary_window *window, uint64_t now_ns)
{
        const struct native *native = series->native;
        const uint64_t max_age_ns = series->family->max_age_ns;
        if (window->epoch != native->epoch) {
                window->n = 0;
                window->epoch = native->epoch;
        }
        while (window->n > 1 && now_ns - window->sketches[1].time_ns >= max_age_ns)
                rotate(window);
        if (window->n == 0)
                return NULL;
        const bool young = now_ns - native->reset_ns < max_age_ns;
        return young ? NULL : &window->sketches[0];
}

/* Stores the sums as a sketch if the newest is old enough. Without memory the window becomes
 * longer. */
static void keep(struct summary_window *window, const struct native_sums *sums, uint64_t now_ns,
                 uint64_t max_age_ns)
{
        const struct sketch *newest = window->n ? &window->sketches[window->n - 1] : NULL;
        if (newest && now_ns - newest->time_ns < max_age_ns / WINDOW_STEPS)
                return;
        if (window->n == WINDOW_MAX)
                rotate(window);
        struct sketch *sketch = &window->sketches[window->n];
        if (!GROW(&sketch->entries, &sketch->cap, sums->n + 1))
                return;
        if (sums->n)
                memcpy(sketch->entries, sums->entries, sums->n * sizeof(sums->entries[0]));
        sketch->n = sums->n;
        sketch->schema = sums->schema;
        sketch->zeros = sums->zeros;
        sketch->time_ns = now_ns;
        window->n++;
}

/* Subtracts the base, which leaves the sums of the window. The buckets of the base are a subset of
 * those of the sums, in the same order, but may be finer. */
static void subtract(struct native_sums *sums, const struct sketch *base)
{
        size_t at = 0;
        sums->zeros -= base->zeros;
        sums->count = sums->zeros;
        for (size_t i = 0; i < base->n; i++) {
                const uint64_t tag = base->entries[i].tag;
                const uint64_t wanted = native_tag(
                        native_coarser(native_index(tag), (unsigned)(base->schema - sums->schema)),
                        tag & 1);
                while (at < sums->n && sums->entries[at].tag != wanted)
                        at++;
                if (at < sums->n)
                        sums->entries[at].count -= base->entries[i].count;
        }
        for (size_t i = 0; i < sums->n; i++)
                sums->count += sums->entries[i].count;
}

/* The geometric middle of a bucket: the bound halfway at twice the resolution. */
static double middle(const struct native_sums *sums, const struct native_entry *entry)
{
        const int32_t index = native_index(entry->tag);
        const double v = prom_native_bound_(2 * index - 1, sums->schema + 1);
        return entry->tag & 1 ? -v : v;
}

/* The quantile by nearest rank: the smallest value such that at least the part q of all values is
 * not larger. */
static double quantile(const struct native_sums *sums, double q)
{
        if (sums->count == 0)
                return (double)NAN;
        const double wanted = q * (double)sums->count;
        uint64_t rank = (uint64_t)wanted, seen = 0;
        rank += (double)rank < wanted || rank == 0;
        size_t n_positive = 0;
        while (n_positive < sums->n && !(sums->entries[n_positive].tag & 1))
                n_positive++;
        for (size_t i = sums->n; i > n_positive; i--) {
                seen += sums->entries[i - 1].count;
                if (seen >= rank)
                        return middle(sums, &sums->entries[i - 1]);
        }
        seen += sums->zeros;
        if (seen >= rank)
                return 0;
        for (size_t i = 0; i < n_positive; i++) {
                seen += sums->entries[i].count;
                if (seen >= rank)
                        return middle(sums, &sums->entries[i]);
        }
        return (double)NAN; /* unreachable: rank <= count */
}

static bool read_quantiles(struct prom_series *series, struct native_sums *sums,
                           struct prom_quantile_snapshot *ret)
{
        const struct prom_family *family = series->family;
        struct native *native = series->native;
        ret->n_quantiles = family->n_quantiles;
        if (family->n_quantiles == 0)
                return true;
        if (!native->window)
                native->window = calloc(1, sizeof(*native->window));
        if (!native->window)
                return false;
        const uint64_t now_ns = prom_now_ns();
        const struct sketch *base = window_base(series, native->window, now_ns);
        struct sketch none = {.schema = sums->schema};
        struct sketch before = base ? *base : none; /* keep() may overwrite *base */
        keep(native->window, sums, now_ns, family->max_age_ns);
        subtract(sums, &before);
        for (size_t i = 0; i < family->n_quantiles; i++) {
                ret->quantiles[i] = family->quantiles[i];
                ret->values[i] = quantile(sums, family->quantiles[i]);
        }
        return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

int prom_read_summary_(struct prom_series *series, struct prom_quantile_snapshot *ret)
{
        int shown = -ENOMEM;
        pthread_mutex_lock(&prom_slab_lock_);
        if (unlikely(series->state == SERIES_REMOVED))
                prom_native_settle_(series);
        struct native_sums *sums = prom_native_sum_limited_(series);
        if (sums) {
                ret->count = sums->count;
                ret->sum = sums->sum;
                ret->created_ms = series->cold->created_ms;
                if (read_quantiles(series, sums, ret))
                        shown = prom_is_shown_(series);
        }
        pthread_mutex_unlock(&prom_slab_lock_);
        return shown;
}

int prom_summary_snapshot(struct prom_summary *summary, struct prom_quantile_snapshot *ret_snapshot)
{
        if (!summary)
                return -EINVAL;
        const int r = prom_read_summary_((struct prom_series *)summary, ret_snapshot);
        return r < 0 ? r : 0;
}

/* For tests: makes all observations and sketches `ns` older. */
void prom_summary_age_(struct prom_summary *summary, uint64_t ns)
{
        struct native *native = ((struct prom_series *)summary)->native;
        pthread_mutex_lock(&prom_slab_lock_);
        native->reset_ns -= ns;
        for (size_t i = 0; native->window && i < native->window->n; i++)
                native->window->sketches[i].time_ns -= ns;
        pthread_mutex_unlock(&prom_slab_lock_);
}

/* ---- the row of summaries -------------------------------------------------------------------- */

static void summary_release(struct prom_series *series)
{
        struct summary_window *window = series->native->window;
        for (size_t i = 0; window && i < WINDOW_MAX; i++)
                free(window->sketches[i].entries);
        free(window);
        prom_native_release_(series);
}

static int summary_point(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                         struct prom_point *ret)
{
        const int shown = prom_read_summary_(series, &scratch->summary);
        ret->summary = &scratch->summary;
        ret->created_ms = scratch->summary.created_ms;
        return shown;
}

static bool summary_render(struct scrape *s, struct prom_series *series,
                           const struct series_text *texts, size_t n)
{
        struct prom_quantile_snapshot *value = &s->buf->scratch->summary;
        for (size_t i = 0; i < n; i++) {
                const int shown = prom_read_summary_(&series[i], value);
                if (shown < 0 || (shown && !s->ops->summary(s, &texts[i], value)))
                        return false;
        }
        return true;
}

static void summary_lay_out(struct prom_family *family)
{
        family->n_cells = 1; /* the address of a block */
}

const struct kind_ops prom_summary_ops_ = {
        .phrase = "a summary",
        .reserved_label = "quantile",
        .traits = KIND_QUANTILES | KIND_UNIT | KIND_CHANGES | KIND_SPARSE | KIND_CREATED,
        .text_type = "summary",
        .open_type = "summary",
        .proto_type = 2,
        .open_suffix = "",
        .suffixes = {"", "_sum", "_count", "_created"},
        .lay_out = summary_lay_out,
        .init = prom_native_init_,
        .release = summary_release,
        .reset = prom_native_reset_,
        .settle = prom_native_settle_,
        .digest = prom_native_digest_,
        .point = summary_point,
        .n_lines = prom_quantile_lines_,
        .describe_line = prom_describe_quantile_,
        .render = summary_render,
};
