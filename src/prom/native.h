/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse exponential buckets: what native histograms and summaries count in. Internal.
 *
 * Each slab (cells.h) that counts observations of a series has a block for it: a small hash table from
 * tags to pairs of sum and count. The cell of the series in the slab holds the block's address. A tag is
 * a bucket, or the zeros, and in a family with classic buckets the classic one as well, so that one pair
 * is all that an observation changes: whoever reads the pairs sees whole observations.
 *
 * What the series is set to (resolution, zero threshold, epoch) stands in struct native and changes
 * under slab_lock, together with `version`. All blocks are marked stale then; the next observation in a
 * stale one replaces it, and a block of an older epoch was counted before a reset and is worth nothing.
 *
 * A block gets new tags under slab_lock, and is replaced under it too (when it is full, or stale),
 * once nothing else updates it: by a thread on its processor that has taken it out of the cell
 * (percpu_take()), or has locked its slab. So it can be freed at once.
 *
 * Sources: the bucket layout is that of Prometheus ("Native Histograms", specification), the rules
 * of the limit those documented with client_golang's HistogramOpts.
 */
#pragma once

#include "prom/cells.h"
#include "prom/family.h"
#include "prom/native_bounds.h"

#include <math.h>

enum {
        NATIVE_COARSEST = 264, /* buckets populated at most at NATIVE_SCHEMA_MIN: the exponents of
                                  doubles, -1074 to 1024, in steps of 16, for either sign */
        NATIVE_INDEX_BIAS = 1 << 20, /* above all indexes, so that a tag is never 0 */
        NATIVE_BLOCK_FIRST = 16,     /* tags of a series' first block */
        NATIVE_ZEROS = 1,            /* stands for the zeros in place of an index and the bias */
        NATIVE_CLASSIC_SHIFT = 32,   /* of the number of the classic bucket in a tag */
        SUMMARY_SCHEMA = 5,          /* of the sketch behind quantiles */
};

#define NATIVE_ZERO_THRESHOLD 0x1p-128

struct native_entry {
        uint64_t tag; /* see native_tag() */
        uint64_t count;
};

struct native_block {
        double above; /* the zero threshold; INFINITY: the block is stale */
        double quick_above; /* values above it are normal, and not stale, and counted in no classic bucket */
        uint64_t *tags;   /* 0: free */
        uint32_t mask;    /* number of tags - 1 */
        uint32_t coarser; /* NATIVE_SCHEMA_MAX - schema */
        uint32_t stale;   /* 1: it is */
        uint32_t used;    /* tags */
        uint32_t buckets; /* tags that are not of zeros, */
        uint32_t room;    /* and how many there may be before the series is held to its limit */
        uint64_t version;
        uint64_t epoch;
        double zero_threshold;
        struct native *native;
        struct native_block *next, **link; /* blocks of the series */
        struct slab *slab;                 /* NULL: of a processor */
        struct pair pairs[];
};

/* Of a series, under slab_lock. */
struct native {
        uint64_t version;
        uint64_t epoch;
        int schema;
        double zero_threshold;
        uint64_t reset_ns;  /* prom_now_ns() of the last reset, or of its making */
        double largest_sum; /* seen. The sums of what only grows are added up in another order once
                               a block was replaced, which may make them smaller by rounding;
                               Prometheus would take that for a restart */
        size_t max_buckets;
        size_t n_classic; /* classic buckets, +Inf included; or 0 */
        struct native_block *blocks;
        struct summary_window *window;
};

static inline uint64_t native_tag(int32_t index, bool negative)
{
        return (uint64_t)(uint32_t)(index + NATIVE_INDEX_BIAS) << 1 | negative;
}

static inline int32_t native_index(uint64_t tag)
{
        return (int32_t)((uint32_t)tag >> 1) - NATIVE_INDEX_BIAS;
}

static inline bool native_is_zeros(uint64_t tag)
{
        return (uint32_t)tag >> 1 == NATIVE_ZEROS;
}

/* The tag without the classic bucket. */
static inline uint64_t native_plain(uint64_t tag)
{
        return (uint32_t)tag;
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

/* ---- with slab_lock held ------------------------------------------------------------------ */

/* The plain tag of an entry of the block as the series is set; 0: it is one of the zeros. */
uint64_t prom_native_converted_(const struct native_block *block, uint64_t tag);

/* The slab whose lock the thread that holds slab_lock has, too; or NULL. */
extern struct slab *prom_native_held_;

/* The next observation in the block is to replace it. */
static inline void native_make_stale(struct native_block *block)
{
        double never = (double)INFINITY;
        __atomic_store(&block->above, &never, __ATOMIC_RELAXED);
        __atomic_store(&block->quick_above, &never, __ATOMIC_RELAXED);
        STORE(&block->stale, 1);
}

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

/* The settle and digest of kind_ops. */
void prom_native_settle_(struct prom_series *series);
uint64_t prom_native_digest_(struct prom_series *series);

/* As prom_native_sum_(), and held to the limit, which may set the series to coarser buckets, or
 * reset it once the sums are taken. */
struct native_sums *prom_native_sum_limited_(struct prom_series *series);

/* The series needs a bucket more, that of this tag, than a block may have: resets it,
 * widens the zero threshold, or makes the buckets coarser. */
void prom_native_limit_(struct prom_series *series, uint64_t tag);

/* ---- without ------------------------------------------------------------------------------ */

/* Of a new series; false without memory. */
bool prom_native_init_(struct prom_series *series);
void prom_native_release_(struct prom_series *series);

/* Of any v. */
void prom_native_observe_(struct prom_series *series, double v);

/* summary.c: for the tests. */
void prom_summary_age_(struct prom_summary *summary, uint64_t ns);
