/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse exponential buckets: what native histograms and summaries count in. Internal.
 *
 * Each thread that observes has a block of its own for each series, which it alone writes: a small
 * hash table of populated buckets, the sum, the count of zeros, and the classic buckets if the
 * family has them too, under one sequence number (odd while an update is under way). The cell of
 * the series in the thread's slab holds the block's address.
 *
 * What the series is set to (resolution, zero threshold, epoch) stands in struct native and changes
 * under slab_lock, together with `version`. A thread whose block has another version brings it up to
 * date; a block of an older epoch was counted before a reset and is worth nothing. So no thread ever
 * writes another's block, but for `quick_above`, which sends its thread to look at the version.
 *
 * A scrape adds the blocks up (native_read.c). It holds a thread that observes without pause off
 * by a version that no block has, until it is done.
 *
 * Sources: the bucket layout is that of Prometheus ("Native Histograms", specification), the rules
 * of the limit those documented with client_golang's HistogramOpts.
 */
#pragma once

#include "prom/internal.h"

enum {
        NATIVE_BOUNDS = 256, /* of schema 8, for one power of two */
        NATIVE_GUESSES = 512,
        NATIVE_SCHEMA_MAX = 8,
        NATIVE_SCHEMA_MIN = -4,
        NATIVE_COARSEST = 264, /* buckets populated at most at NATIVE_SCHEMA_MIN: the exponents of
                                  doubles, -1074 to 1024, in steps of 16, for either sign */
        NATIVE_INDEX_BIAS = 1 << 20, /* above all indexes, so that a tag is never 0 */
        NATIVE_BLOCK_FIRST = 32,     /* entries of a new block */
        NATIVE_HELD_OFF = 0,         /* a version no block has */
        SUMMARY_SCHEMA = 5,          /* of the sketch behind quantiles */
};

#define NATIVE_ZERO_THRESHOLD 0x1p-128

extern const uint64_t prom_native_bounds_[NATIVE_BOUNDS + 1];
extern const uint16_t prom_native_guess_[NATIVE_GUESSES];

struct native_entry {
        uint64_t tag; /* see native_tag(); 0: free */
        uint64_t count;
};

struct native_block {
        uint64_t sequence;
        uint64_t version;
        uint64_t sum; /* a double */
        uint64_t zeros;
        double zero_threshold;
        int64_t quick_above; /* the bits of a value: those above it are normal and go into a bucket
                                and nowhere else. INT64_MAX: ask `version` first */
        unsigned coarser;    /* NATIVE_SCHEMA_MAX - schema */
        uint32_t mask;       /* number of entries - 1 */
        uint32_t used;       /* entries */
        uint32_t room;       /* to be used */
        uint64_t *classic;
        uint64_t epoch;
        struct native *native;
        struct native_block *next, **link;               /* blocks of the series */
        struct native_block *thread_next, **thread_link; /* of the thread; NULL without one */
        uint32_t cell;
        bool orphaned; /* its thread was left behind by fork(), perhaps in mid-update */
        struct native_entry entries[];
};

/* Of a series. All but `version` under slab_lock. */
struct native {
        uint64_t version;
        uint64_t epoch;
        int schema;
        double zero_threshold;
        uint64_t reset_ns;  /* prom_now_ns() of the last reset, or of its making */
        double largest_sum; /* seen: see never_less() in read.c */
        size_t max_buckets;
        size_t n_classic; /* classic buckets, +Inf included; or 0 */
        struct native_block *blocks;
        struct native_block *folded; /* one of them: that of the threads that have exited */
        struct summary_window *window;
};

static inline uint64_t native_tag(int32_t index, bool negative)
{
        return (uint64_t)(uint32_t)(index + NATIVE_INDEX_BIAS) << 1 | negative;
}

static inline int32_t native_index(uint64_t tag)
{
        return (int32_t)(tag >> 1) - NATIVE_INDEX_BIAS;
}

static inline size_t native_capacity(const struct native_block *block)
{
        return (size_t)block->mask + 1;
}

/* The bucket `steps` schemas coarser that holds bucket `index`. */
static inline int32_t native_coarser(int32_t index, unsigned steps)
{
        return ((index - 1) >> steps) + 1;
}

/* The index at schema 8 of the bucket of |v|, which is neither 0 nor infinite. */
int32_t prom_native_index_(double v);

/* The upper bound of a bucket. */
double prom_native_bound_(int32_t index, int schema);

/* The schema of the widest buckets that are at most `factor` > 1 wide. */
int prom_native_schema_(double factor);

/* ---- with slab_lock held ------------------------------------------------------------------ */

/* Lets the thread of the block observe without a look at the version, or no more. */
void prom_native_quicken_(struct native_block *block);
static inline void native_slow_down(struct native_block *block)
{
        STORE(&block->quick_above, INT64_MAX);
}

/* Makes the block as the series is set. */
void prom_native_rebuild_(struct native_block *block);

/* An entry of the block as the series is set; tag 0 if it has become part of the zeros. */
uint64_t prom_native_converted_(const struct native_block *block, uint64_t tag);

/* Everything is 0 again, at the resolution and threshold the family begins with. */
void prom_native_reset_(struct prom_series *series);

/* Sums of all blocks as of one moment, in static memory. NULL without memory. */
struct native_sums {
        struct native_entry *entries; /* populated: the positive by index, then the negative */
        size_t n;
        size_t cap;
        int schema;
        double zero_threshold;
        uint64_t zeros;
        uint64_t count;
        double sum;
        uint64_t classic[PROM_BUCKETS_MAX + 1];
};
struct native_sums *prom_native_sum_(struct prom_series *series);

/* As prom_native_sum_(), and held to the limit, which may set the series to coarser buckets, or
 * reset it once the sums are taken. */
struct native_sums *prom_native_sum_limited_(struct prom_series *series);

/* Room for n entries of scratch; NULL without memory. */
struct native_entry *prom_native_scratch_(size_t n);

/* The series needs a bucket more, that of this tag, than a thread's block may have: resets it,
 * widens the zero threshold, or makes the buckets coarser. */
void prom_native_limit_(struct prom_series *series, uint64_t tag);

/* Blocks of a thread that exits: added to the folded ones and freed. */
void prom_native_fold_(struct native_block *blocks);

/* ---- without ------------------------------------------------------------------------------ */

/* Of a new series; false without memory. */
bool prom_native_init_(struct prom_series *series);
void prom_native_release_(struct prom_series *series);

/* v is finite; has_negative of the family is set where it has to be. `cells` are the thread's own;
 * the second function is for one that has none yet, too. */
void prom_native_observe_(struct prom_series *series, uint64_t *cells, double v);
void prom_native_observe_any_(struct prom_series *series, double v);

void prom_summary_window_free_(struct summary_window *window); /* summary.c */
void prom_summary_age_(struct prom_summary *summary, uint64_t ns);
