/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: the words in which counters, histograms and native histograms are counted.
 *
 * A *slab* is a sparse array of all cells; pages where nothing is counted use no memory. There is
 * one slab per processor, updated without a lock (percpu.h). For updates that cannot use it there
 * are as many *locked slabs* as processors, at most PROM_SLOTS_MAX; a thread locks one that no
 * other thread holds, if there is one. The value of a series is the sum over all slabs. So memory
 * and the duration of a scrape grow with the number of processors, not of threads, and a thread
 * that exits leaves nothing to clean up.
 *
 *     if (!percpu_add(cell, n))
 *             add_slowly(cell, n);   // makes the slab and tries again; else prom_slab_take_()
 *
 * A histogram has a struct pair for each bucket: the sum of its observations next to their count.
 * Both change in one store, so a reader that reads the buckets one after the other gets a sum of
 * exactly the observations that it counts, without waiting for writers and without reading again.
 *
 * Who may write a cell: of a processor's slab, only restartable sequences on that processor; of a
 * locked slab, the holder of its lock. Both use single stores of the whole cell or pair. Cells are
 * cleared only while no thread may update them: before the series has a handle, or after its family
 * is freed or its grace period is over (grace.h). Slabs are never freed: a sequence on another
 * processor could still be using one.
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
        COUNTER_APART = CHUNK_WORDS, /* distance between the two words: see enum chunk_kind */
        PAIR_WORDS = 2,              /* words of a bucket */
        SERIES_CELLS_MAX = PAIR_WORDS * (PROM_BUCKETS_MAX + 1),
        SUM_BATCH = 512, /* counters summed while slab_lock is held once */
};

struct counter_value {
        uint64_t whole;
        double part;
        int64_t created_ms; /* if requested */
        bool shown;         /* false: omit the series */
};

/* A slab. Its memory is never freed. */
struct slab {
        uint64_t *cells; /* NULL until it is first used */
        struct slab *next;
        pthread_mutex_t *lock; /* NULL: the slab of a processor */
        bool stuck;            /* under slab_lock: its lock was not released within a second */
};

/* ---- updates ------------------------------------------------------------------------------ */

/* Makes the slab of the current processor. False without rseq or memory. Takes slab_lock. */
bool prom_percpu_make_(void);

/* Locks a slab for a short update; NULL without memory. Takes slab_lock briefly, so the caller must
 * not hold it. A holder of slab_lock may lock slab->lock; the opposite order would deadlock. */
struct slab *prom_slab_take_(void);
void prom_slab_give_(struct slab *slab);

/* The pair in cells `cell` and `cell + 1`. The conversion through void * says that the words are
 * untyped. */
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

/* Counts an update that is lost because there is no memory for the cells. */
extern uint64_t prom_lost_updates_;
void prom_lose_update_(void);

/* ---- allocating cells, with table_lock held ------------------------------------------------- */

/* Allocates n consecutive cells within one chunk, zero in every slab. The first has an even number
 * if n > 1, so that pairs are aligned. COUNTER_WORDS cells are special: two cells that are
 * COUNTER_APART.
 * -ENOSPC. */
int prom_cells_alloc_(unsigned n, uint32_t *ret_cell);
void prom_cells_free_(uint32_t cell, unsigned n);

/* With slab_lock held: clears the cells in every slab. No thread may be updating them. */
void prom_cells_clear_(uint32_t cell, unsigned n);

/* ---- sums over all slabs, with slab_lock held ------------------------------------------------ */

/* Both functions add to the values. They add doubles in the order of the slabs, and new slabs are
 * appended: then rounding never makes the sum of growing values smaller, which scrapers would take
 * for a restart. */
void prom_sum_counters_(const uint32_t *cells, size_t n, bool with_parts,
                        struct counter_value *values);
void prom_sum_histogram_(uint32_t cell, size_t n_buckets, uint64_t *buckets, double *sum);

/* Locks a slab for reading pairs, if it has a lock: writers of locked slabs store the two words of
 * a pair separately. Returns whether the caller must unlock it. Waits at most one second, and only
 * once per slab, because a debugger may have stopped the writer in the middle of an update. */
bool prom_slab_hold_(struct slab *slab);

/* ---- fork(), with slab_lock held ------------------------------------------------------------- */

void prom_slabs_before_fork_(void);
void prom_slabs_after_fork_(bool in_child);

/* Called once, before the first handle exists: prepares the locked slabs and finds the rseq fields.
 */
void prom_percpu_init_(void);
