/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: the words that counters, histograms and the blocks of native ones are counted in. Internal.
 *
 * A *slab* is an array of all cells, without memory where nothing was counted. There is one for each
 * processor that has counted, updated without a lock (percpu.h), and, for updates that cannot go there,
 * up to PROM_SLOTS_MAX and as many as there are processors, of which a thread locks any one that
 * nobody else has. What a series shows is the sum over all slabs. So memory and the time of a scrape
 * grow with the number of processors, never with that of threads, and a thread that ends leaves
 * nothing to be done.
 *
 *     if (!percpu_add(cell, n))
 *             add_slowly(cell, n);   // percpu_make_() and once more, else prom_slab_take_()
 *
 * A histogram is a struct pair for each bucket, the sum of its observations beside their count. Both
 * change at once, so whoever reads the buckets one after the other has a sum of exactly the observations
 * counted in them, and never has to wait for a thread or to read again.
 */
#pragma once

#include "prom/locks.h"
#include "prom/percpu.h"
#include "prom/prom.h"

enum {
        PROM_SLOTS_MAX = 256,
        CHUNK_WORDS = 512,
        COUNTER_INT = 0, /* words of a counter */
        COUNTER_FLOAT = 1,
        COUNTER_WORDS = 2,
        COUNTER_APART = CHUNK_WORDS, /* cells from one to the other: see cells.c */
        PAIR_WORDS = 2,              /* of a bucket */
        SERIES_CELLS_MAX = PAIR_WORDS * (PROM_BUCKETS_MAX + 1),
        SUM_BATCH = 512, /* counters summed under one hold of slab_lock */
};

struct counter_value {
        uint64_t whole;
        double part;
        int64_t created_ms; /* if asked for */
        bool shown;         /* false: leave the series out */
};

/* A slab. Its cells are never given back. */
struct slab {
        uint64_t *cells; /* NULL: it is not in use */
        struct slab *next;
        pthread_mutex_t *lock; /* NULL: of a processor */
        bool stuck;            /* under slab_lock: it was waited for in vain */
};

/* ---- updates ------------------------------------------------------------------------------ */

/* Sees to it that there is a slab for this processor. False if there can be none. Takes slab_lock. */
bool prom_percpu_make_(void);

/* Locks a slab for a short update. NULL without memory for any. Takes slab_lock for a moment, so it is
 * not to be held; who holds it may lock slab->lock after it, never the other way round. */
struct slab *prom_slab_take_(void);
void prom_slab_give_(struct slab *slab);

/* The pair in cells `cell` and the next one. By way of void *: cells are words of any kind. */
static inline struct pair *prom_pair_at_(const struct slab *slab, uint64_t cell)
{
        void *at = slab->cells + cell;
        return at;
}

static inline void prom_pair_add_(struct pair *pair, double v)
{
        STORE(&pair->sum, bits_of(double_of(LOAD(&pair->sum)) + v));
        STORE(&pair->count, LOAD(&pair->count) + 1);
}

/* Updates lost because there was no memory for the cells. */
extern uint64_t prom_lost_updates_;
void prom_lose_update_(void);

/* ---- numbers of cells, with table_lock held ------------------------------------------------- */

/* n consecutive cells within one chunk, the first of an even number if n > 1 (COUNTER_WORDS of them:
 * two that are COUNTER_APART), zero in every slab. -ENOSPC. */
int prom_cells_alloc_(unsigned n, uint32_t *ret_cell);
void prom_cells_free_(uint32_t cell, unsigned n);

/* With slab_lock held: makes them zero in every slab, which no thread may be updating. */
void prom_cells_clear_(uint32_t cell, unsigned n);

/* ---- sums over all slabs, with slab_lock held ------------------------------------------------ */

/* What of a sum is a double is added up in the order of the slabs, to which new ones are appended: sums
 * of what only grows never become smaller by rounding. Values are added to. */
void prom_sum_counters_(const uint32_t *cells, size_t n, bool with_parts,
                        struct counter_value *values);
void prom_sum_histogram_(uint32_t cell, size_t n_buckets, uint64_t *buckets, double *sum);

/* Locks a slab for reading pairs, if it is one that has a lock. Waits for a second at most, and once: a
 * thread may be stopped in mid-update, by a debugger, say. Whether it is to be unlocked. */
bool prom_slab_hold_(struct slab *slab);

/* ---- fork(), with slab_lock held; before and after, and in the child ------------------------- */

void prom_slabs_before_fork_(void);
void prom_slabs_after_fork_(bool in_child);

/* Before there is a first handle: finds out about rseq. */
void prom_percpu_init_(void);
