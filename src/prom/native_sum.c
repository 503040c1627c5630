/* SPDX-License-Identifier: Apache-2.0 */
/* Summing the blocks of a native histogram, and enforcing its limit. See native.h. */
#include "prom/arena.h"
#include "prom/baseline.h"
#include "prom/native.h"

#include <stdlib.h>
#include <string.h>

/* Under slab_lock. */
static struct native_sums sums;
static long double total; /* becomes sums.sum */
static struct native_entry *spare;
static size_t cap_spare;

struct slab *prom_native_held_;

/* ---- blocks ------------------------------------------------------------------------------- */

uint64_t prom_native_converted_(const struct native_block *block, uint64_t tag)
{
        const struct native *native = block->native;
        const int32_t index = native_index(tag);
        const int schema = NATIVE_SCHEMA_MAX - (int)block->coarser;
        if (native_is_zeros(tag) || (native->zero_threshold > block->zero_threshold &&
                                     prom_native_bound_(index, schema) <= native->zero_threshold))
                return 0;
        return native_tag(native_coarser(index, (unsigned)(schema - native->schema)), tag & 1);
}

static void add_entry(const struct native_block *block, uint64_t tag, const struct pair *pair)
{
        const uint64_t plain = prom_native_converted_(block, tag);
        total += double_of(pair->sum);
        if (block->native->n_classic)
                sums.classic[tag >> NATIVE_CLASSIC_SHIFT] += pair->count;
        if (plain)
                sums.entries[sums.n++] = (struct native_entry){plain, pair->count};
        else
                sums.zeros += pair->count;
}

static bool add_block(struct native_block *block)
{
        const size_t n = native_capacity(block);
        if (!GROW(&sums.entries, &sums.cap, sums.n + n + 1))
                return false;
        const bool locks = block->slab && block->slab != prom_native_held_;
        const bool held = locks && prom_slab_hold_(block->slab);
        for (size_t i = 0; i < n; i++) {
                const uint64_t tag = LOAD_ACQUIRE(&block->tags[i]);
                const struct pair pair = pair_load(&block->pairs[i]);
                if (tag && pair.count)
                        add_entry(block, tag, &pair);
        }
        if (held)
                prom_slab_give_(block->slab);
        return true;
}

/* ---- sums --------------------------------------------------------------------------------- */

static inline uint64_t rank(const struct native_entry *entry)
{
        return entry->tag >> 1 | entry->tag << 63;
}

/* The end of the ascending run that begins at i. */
static size_t run_end(const struct native_entry *entries, size_t n, size_t i)
{
        for (i++; i < n && rank(&entries[i - 1]) <= rank(&entries[i]);)
                i++;
        return i;
}

static void merge(struct native_entry *out, const struct native_entry *a,
                  const struct native_entry *end_a, const struct native_entry *end_b)
{
        const struct native_entry *b = end_a;
        while (a < end_a && b < end_b)
                *out++ = rank(b) < rank(a) ? *b++ : *a++;
        while (a < end_a)
                *out++ = *a++;
        while (b < end_b)
                *out++ = *b++;
}

/* Merges neighbouring runs, of which there are few: the entries of a block are in the order of
 * their indexes, starting somewhere in the middle. qsort() might allocate. False without memory. */
static bool sort(void)
{
        const size_t n = sums.n;
        struct native_entry *from = sums.entries;
        if (n == 0 || run_end(from, n, 0) == n)
                return true;
        if (!GROW(&spare, &cap_spare, n))
                return false;
        struct native_entry *to = spare;
        do {
                for (size_t i = 0, middle, end; i < n; i = end) {
                        middle = run_end(from, n, i);
                        end = middle < n ? run_end(from, n, middle) : n;
                        merge(to + i, from + i, from + middle, from + end);
                }
                struct native_entry *other = from;
                from = to;
                to = other;
        } while (run_end(from, n, 0) < n);
        if (from != sums.entries)
                memcpy(sums.entries, from, n * sizeof(*from));
        return true;
}

/* Combines neighbouring entries of the same bucket. */
static void combine(void)
{
        size_t n = 0;
        for (size_t i = 0; i < sums.n; i++) {
                if (n && sums.entries[n - 1].tag == sums.entries[i].tag)
                        sums.entries[n - 1].count += sums.entries[i].count;
                else
                        sums.entries[n++] = sums.entries[i];
        }
        sums.n = n;
}

static bool finish(struct prom_series *series)
{
        struct native *native = series->native;
        if (!sort())
                return false;
        combine();
        sums.count = sums.zeros;
        for (size_t i = 0; i < sums.n; i++)
                sums.count += sums.entries[i].count;
        sums.sum = (double)total;
        if (LOAD(&series->family->has_negative))
                return true;
        if (sums.sum > native->largest_sum)
                native->largest_sum = sums.sum;
        sums.sum = native->largest_sum;
        return true;
}

static bool add_blocks(struct prom_series *series)
{
        const struct native *native = series->native;
        sums.n = 0;
        sums.schema = native->schema;
        sums.zero_threshold = native->zero_threshold;
        sums.zeros = 0;
        total = 0;
        memset(sums.classic, 0, native->n_classic * sizeof(sums.classic[0]));
        for (struct native_block *block = native->blocks; block; block = block->next)
                if (block->epoch == native->epoch && !add_block(block))
                        return false;
        return true;
}

struct native_sums *prom_native_sum_(struct prom_series *series)
{
        return add_blocks(series) && finish(series) ? &sums : NULL;
}

/* ---- the limit ---------------------------------------------------------------------------- */

/* Moves the entry at *at to the zeros if it has that index. */
static void take_bucket(struct native_entry **at, const struct native_entry *end, int32_t index)
{
        if (*at == end || native_index((*at)->tag) != index)
                return;
        sums.zeros += (*at)->count;
        ++*at;
}

/* Moves the n entries at `from` to the end of the retained ones. */
static void keep_entries(const struct native_entry *from, size_t n)
{
        memmove(sums.entries + sums.n, from, n * sizeof(*from));
        sums.n += n;
}

/* Moves the smallest buckets to the zeros, one after the other, while there are more than `most`
 * and the threshold may be widened that far. */
static void widen_zeros(size_t most, double max_threshold)
{
        struct native_entry *const end = sums.entries + sums.n;
        struct native_entry *positive = sums.entries, *middle = positive;
        while (middle < end && !(middle->tag & 1))
                middle++;
        struct native_entry *negative = middle;
        while ((size_t)(middle - positive) + (size_t)(end - negative) > most &&
               sums.zero_threshold < max_threshold) {
                int32_t smallest = INT32_MAX;
                if (positive < middle)
                        smallest = native_index(positive->tag);
                if (negative < end && native_index(negative->tag) < smallest)
                        smallest = native_index(negative->tag);
                const double threshold = prom_native_bound_(smallest, sums.schema);
                if (!(threshold <= max_threshold))
                        break;
                take_bucket(&positive, middle, smallest);
                take_bucket(&negative, end, smallest);
                if (threshold > sums.zero_threshold)
                        sums.zero_threshold = threshold;
        }
        sums.n = 0;
        keep_entries(positive, (size_t)(middle - positive));
        keep_entries(negative, (size_t)(end - negative));
}

static bool halve_resolution(void)
{
        if (sums.schema == NATIVE_SCHEMA_MIN)
                return false;
        sums.schema--;
        for (size_t i = 0; i < sums.n; i++) {
                const uint64_t tag = sums.entries[i].tag;
                sums.entries[i].tag = native_tag(native_coarser(native_index(tag), 1), tag & 1);
        }
        combine();
        return true;
}

/* After a change of the settings: makes all blocks stale. */
static void renew(struct native *native)
{
        native->version++;
        for (struct native_block *block = native->blocks; block; block = block->next)
                native_make_stale(block);
}

/* Makes the resolution and threshold of the sums the settings of the series. */
static void set_as_sums(struct native *native)
{
        if (native->schema == sums.schema && native->zero_threshold == sums.zero_threshold)
                return;
        native->schema = sums.schema;
        native->zero_threshold = sums.zero_threshold;
        renew(native);
}

static void reduce(const struct native *native, const struct native_limits *limits)
{
        if (sums.n > native->max_buckets)
                widen_zeros(native->max_buckets, limits->max_zero_threshold);
        while (sums.n > native->max_buckets && halve_resolution())
                ;
}

void prom_native_reset_(struct prom_series *series)
{
        struct native *native = series->native;
        native->epoch++;
        native->schema = series->family->limits.schema;
        native->zero_threshold = series->family->limits.zero_threshold;
        native->reset_ns = prom_now_ns();
        native->largest_sum = 0;
        prom_series_restamp_(series);
        renew(native);
}

static bool reset_is_due(const struct prom_series *series)
{
        const uint64_t min_ns = series->family->limits.min_reset_ns;
        return min_ns && prom_now_ns() - series->native->reset_ns >= min_ns;
}

void prom_native_limit_(struct prom_series *series, uint64_t tag)
{
        if (reset_is_due(series)) {
                prom_native_reset_(series);
                return;
        }
        if (!add_blocks(series) || !GROW(&sums.entries, &sums.cap, sums.n + 1))
                return;
        sums.entries[sums.n++] = (struct native_entry){tag, 0};
        if (!finish(series))
                return;
        reduce(series->native, &series->family->limits);
        set_as_sums(series->native);
}

/* Resets only after the sums are computed, so that no observation is lost. */
struct native_sums *prom_native_sum_limited_(struct prom_series *series)
{
        struct native *native = series->native;
        const struct native_limits *limits = &series->family->limits;
        if (!prom_native_sum_(series))
                return NULL;
        const bool reduced = native->schema != limits->schema ||
                             native->zero_threshold != limits->zero_threshold;
        if (likely(!reduced && sums.n <= native->max_buckets))
                return &sums;
        reduce(native, limits);
        if (reset_is_due(series))
                prom_native_reset_(series);
        else
                set_as_sums(native);
        return &sums;
}
