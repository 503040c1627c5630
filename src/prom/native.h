/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse exponential buckets, in which native histograms and summaries are counted.
 *
 * Each slab (cells.h) that counts observations of a series has a *block* for it: a hash table from
 * tags to pairs of sum and count. The series' cell in the slab holds the address of the block. A
 * *tag* names a native bucket or the zeros, and in a family with classic buckets also the classic
 * bucket. So an observation changes one pair, and a reader of the pairs sees whole observations.
 *
 * The *settings* of a series (resolution, zero threshold, epoch) are in struct native. They change
 * under slab_lock, which increases `version` and marks all blocks stale. The next observation in a
 * stale block replaces it by one with the new settings. A block of an older epoch was counted
 * before a reset; its counts are dropped.
 *
 * Why blocks need no lock:
 *
 * - Only one thread updates a block at a time: a restartable sequence on its processor, or the
 *   holder of its slab's lock.
 * - A new tag, or a new block in place of a full or stale one, is made under slab_lock by a thread
 *   that owns the block: it has taken it out of the cell (percpu_take()), so no sequence holds its
 *   address any more, or it holds the slab's lock. Readers hold slab_lock. Therefore the old block
 *   can be freed immediately.
 * - Marking a block stale stores to fields that only stop updates (`above`, `quick_above`,
 *   `stale`). An update that has read them before still counts in the old settings, in a block that
 *   remains valid; the reader converts its tags (prom_native_converted_()).
 *
 * Sources: the bucket layout of the Prometheus specification "Native Histograms"; the rules of the
 * limit as documented with HistogramOpts of client_golang.
 */
#pragma once

#include "prom/cells.h"
#include "prom/family.h"
#include "prom/native_bounds.h"

#include <math.h>

enum {
        NATIVE_COARSEST = 264, /* buckets there can be at NATIVE_SCHEMA_MIN: exponents of doubles,
                                  -1074 to 1024, in steps of 16, for both signs */
        NATIVE_INDEX_BIAS = 1 << 20, /* larger than all indexes, so that no tag is 0 */
        NATIVE_BLOCK_FIRST = 16,     /* capacity of the first block of a series */
        NATIVE_ZEROS = 1,            /* the zeros, where other tags have index + bias */
        NATIVE_CLASSIC_SHIFT = 32,   /* position of the classic bucket in a tag */
        SUMMARY_SCHEMA = 5,          /* resolution of the sketch of a summary */
};

#define NATIVE_ZERO_THRESHOLD 0x1p-128

struct native_entry {
        uint64_t tag; /* see native_tag() */
        uint64_t count;
};

struct native_block {
        double above;       /* the zero threshold; INFINITY: the block is stale */
        double quick_above; /* observe_quickly() may count larger values: they are normal doubles
                               and not zeros, the block is not stale and has no classic buckets */
        uint64_t *tags;     /* 0: free */
        uint32_t mask;      /* number of tags - 1 */
        uint32_t coarser;   /* NATIVE_SCHEMA_MAX - schema */
        uint32_t stale;     /* 1: it is */
        uint32_t used;      /* tags */
        uint32_t buckets;   /* tags that are not of zeros, */
        uint32_t room;      /* and how many there may be before the series is held to its limit */
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

/* The tag, without classic bucket, that an entry of the block has in the current settings of the
 * series; 0 if it is now one of the zeros. */
uint64_t prom_native_converted_(const struct native_block *block, uint64_t tag);

/* The slab whose lock the holder of slab_lock holds too, so that sums do not lock it again; or
 * NULL. */
extern struct slab *prom_native_held_;

/* Makes the next observation in the block replace it. Relaxed stores suffice: a later observation
 * may still use the block, whose counts remain valid in its own settings. */
static inline void native_make_stale(struct native_block *block)
{
        double never = (double)INFINITY;
        __atomic_store(&block->above, &never, __ATOMIC_RELAXED);
        __atomic_store(&block->quick_above, &never, __ATOMIC_RELAXED);
        STORE(&block->stale, 1);
}

/* Restarts the series at 0, with the initial resolution and threshold of its family. */
void prom_native_reset_(struct prom_series *series);

/* The sums of all blocks, in static memory; NULL without memory. */
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

/* As prom_native_sum_(), but with at most the allowed number of buckets, for which it may make the
 * buckets of the series coarser, or reset the series after the sums are computed. */
struct native_sums *prom_native_sum_limited_(struct prom_series *series);

/* Makes room when the series needs the bucket of this tag beyond its limit: resets the series,
 * widens the zero threshold, or makes the buckets coarser. */
void prom_native_limit_(struct prom_series *series, uint64_t tag);

/* ---- without slab_lock -------------------------------------------------------------------- */

/* The init and release of kind_ops. */
bool prom_native_init_(struct prom_series *series);
void prom_native_release_(struct prom_series *series);

/* Observes v, which may be any double. */
void prom_native_observe_(struct prom_series *series, double v);

/* For tests (summary.c): as if all observations and scrapes so far were `ns` older. */
void prom_summary_age_(struct prom_summary *summary, uint64_t ns);
