/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families and their series: the data that updates, look-ups and scrapes share.
 *
 * - Values. Counters and histograms are counted in *cells*, words with process-wide numbers. Each
 *   processor has a *slab*, a sparse array of all cells; a scrape adds the slabs up under slab_lock
 *   (cells.h, percpu.h). Native histograms and summaries are counted in blocks, one per slab and
 *   series, whose address is in the cell of the series (native.h). A gauge or a state set is one
 *   shared word in a cache line of its own, so that setting it does not evict what every update
 *   reads.
 * - Series are in blocks that never move, in the order of their creation. `n_series` is stored with
 *   release after the series is complete, so a scrape that loads it with acquire can read these
 *   series without a lock.
 * - Look-ups read an open-addressing table without a lock (table.h). Insertion and removal take
 *   table_lock.
 * - A series is never freed before its family. Removal only changes its state. When it comes back,
 *   the sums of its cells become its baseline, and it shows the difference (baseline.h); sparse
 *   buckets have epochs instead. State and baseline change while both table_lock and slab_lock are
 *   held, so a holder of either lock sees a series entirely before or entirely after the change
 *   (life.h).
 * - When many series are removed, the one removed first is reused for other label values, after a
 *   grace period that covers all look-ups and updates without a lock, and not during a visit
 *   (grace.h, recycle.h).
 * - The text of a series, all that a scrape shows except numbers, is made once per dialect, under
 *   table_lock (layout.h).
 *
 * What differs between kinds of metric is in kind.h. The locks and their order are in locks.h.
 */
#pragma once

#include "prom/arena.h"
#include "prom/atomic.h"
#include "prom/cells.h"
#include "prom/escape.h"
#include "prom/kind.h"
#include "prom/prom.h"

enum {
        SERIES_BLOCKS_MAX = 32, /* each block is twice as large as the one before */
        SERIES_BLOCK_FIRST = 16,
};

/* The initial resolution and the limits of a native histogram. */
struct native_limits {
        int schema;
        size_t max_buckets;
        double zero_threshold;
        double max_zero_threshold;
        uint64_t min_reset_ns; /* 0: never */
};

enum series_state {
        SERIES_LIVE,
        SERIES_HIDDEN,  /* idle; shown again when its value changes */
        SERIES_REMOVED, /* by the program or as idle; comes back when it is looked up */
};

enum dialect {
        DIALECT_TEXT, /* also 1.0.0 */
        DIALECT_OPENMETRICS,
        DIALECT_PROTOBUF,
        N_DIALECTS
};

/* The part of a series that updates and scrapes access. It never moves and is freed with its
 * family. The state, the word of a gauge that comes back, and `cold` change under slab_lock; the
 * state also under table_lock. inline.h knows the first members. */
struct prom_series {
        uint32_t cell;     /* its first cell */
        uint8_t state;     /* enum series_state */
        bool has_baseline; /* cold->baseline is to be subtracted */
        bool recycled;     /* at least once */
        union {
                uint64_t *word;        /* the value of a gauge, the bits of a state set */
                struct native *native; /* of a native histogram or summary */
        };
        struct prom_family *family;
        struct key *key; /* its label values */
        struct series_cold *cold;
};

struct word_line {
        uint64_t word;
        uint64_t unused[CACHE_LINE / sizeof(uint64_t) - 1];
};

/* The part that is rarely accessed. */
struct series_cold {
        int64_t created_ms;
        uint64_t *baseline; /* the sums when the series last came back; of a removed series, the
                               sums when it was last settled. NULL before the first removal */
        struct kept_exemplar **exemplars; /* by slot; see exemplar.c */
        size_t next_exemplar;             /* of a family with exemplar_ring */
        uint64_t idle_value;              /* the digest of the value at the last scrape */
        uint64_t idle_since_ns;           /* since when it is unchanged; 0: not yet compared */
        uint64_t set_number; /* of an info: the number of the prom_info_set() that showed it, or
                                0 */
        size_t index;        /* in the family */
        uint64_t recycling;  /* the number of its last recycling */
        bool removed;        /* it is in the family's list of removed series */
        uint64_t retired_ns; /* when it left that list */
        struct prom_series *removed_next, *removed_before;
};

struct label_slot {
        const char *name;
        const char *raw; /* value of a constant label; NULL for a variable one */
        unsigned index;  /* of the value of a variable label */
};

struct prom_family {
        enum prom_kind kind;
        unsigned n_labels; /* variable ones */
        uint64_t id;       /* unique in the process; seed of the hashes in its table */
        const struct kind_ops *ops;
        unsigned n_cells;     /* of each series */
        unsigned n_sums;      /* words of the sums of each series: see kind_ops */
        unsigned n_exemplars; /* exemplar slots of each series */
        bool exemplar_ring;   /* exemplars take the slots in turn, not by bucket */
        size_t max_series;
        struct prom_registry *registry;
        struct prom_collector *collector; /* NULL for a family with handles */
        bool retired;                     /* its collector was removed */
        struct prom_family *base;         /* what it is curried from, which is not curried; or
                                             NULL */
        const char *const *fixed;         /* curried: values by label of the base; NULL: not
                                             fixed */
        struct prom_family *curried;      /* the families curried from this one, linked by next */
        const char *name;
        const char *help;
        const char *const *labels;
        const struct label_slot *slots; /* all labels, sorted by name */
        unsigned n_slots;
        bool legacy_names; /* no escaping changes its name or those of its labels */
        const char *open_names[N_ESCAPINGS]; /* see prom_open_name_() */
        const char *unit;                    /* or NULL */
        const char *const *states;           /* of a state set */
        size_t n_states;
        const double *quantiles; /* of a summary */
        size_t n_quantiles;
        uint64_t max_age_ns;
        struct native_limits limits; /* of a native histogram or summary */
        bool native;                 /* a histogram with native buckets */
        bool classic;                /* a histogram with classic buckets */
        uint64_t idle_timeout_ns;
        bool idle_remove;
        size_t n_buckets; /* without +Inf */
        const double *bounds;
        size_t n_padded; /* bounds, padded with +Inf to a multiple of 8 */
        struct layout *layouts[N_DIALECTS][N_ESCAPINGS]; /* see layout.h; NULL until asked for */

        struct prom_series *blocks[SERIES_BLOCKS_MAX];
        struct word_line *words[SERIES_BLOCKS_MAX]; /* of gauges and state sets, by block */
        size_t n_series;                            /* including removed and hidden ones */
        size_t n_live;                              /* under table_lock; without it, an estimate */
        struct table *table;
        uint64_t moves;                       /* odd while a key is removed from the table */
        struct key *spare_first, *spare_last; /* removed keys, oldest first */
        struct prom_series *removed_first, *removed_last; /* can come back; oldest first */
        size_t n_removed;                                 /* series in this list */
        struct prom_series *retired_first, *retired_last; /* removed earlier, in no table any
                                                             more */
        uint64_t recycle_from_ns;     /* when retired_first may be recycled; 0: the list is empty */
        struct prom_series *overflow; /* created when first needed; never recycled */
        struct prom_series *only;     /* of a family without variable labels */
        struct arena arena;

        bool has_parts;     /* a fraction was added to a counter */
        bool has_negative;  /* a negative value was observed */
        bool has_exemplars; /* a series has, or had, an exemplar */
        uint64_t n_sets;    /* of an info: completed prom_info_set() calls */
        uint64_t setting;   /* under table_lock: the number of the current prom_info_set(), or 0 */
        uint64_t overflows;
        uint64_t ignored;
        uint64_t failures;        /* scrapes that omitted it because its collector failed */
        size_t samples_at;        /* of a collector: index of its samples in the last gathering */
        struct prom_family *next; /* in the registry's list of all families, or in `curried` */
};

/* The family itself, or the one it is curried from. */
static inline struct prom_family *prom_base_of_(struct prom_family *family)
{
        return family->base ? family->base : family;
}

/* Block b has `first << b` series, starting with series `first * (2^b - 1)`. A family without
 * labels has one series, in a block of one. */
static inline size_t prom_block_size_(const struct prom_family *family, unsigned block)
{
        return (size_t)(family->n_labels ? SERIES_BLOCK_FIRST : 1) << block;
}

/* The block of series i, and the position in it. */
static inline unsigned prom_block_of_(const struct prom_family *family, size_t i, size_t *ret_at)
{
        const size_t first = prom_block_size_(family, 0);
        const unsigned block = 63 - (unsigned)__builtin_clzll(i / first + 1);
        *ret_at = i - first * ((UINT64_C(1) << block) - 1);
        return block;
}

/* Series i < n_series. */
static inline struct prom_series *prom_series_at_(const struct prom_family *family, size_t i)
{
        size_t at;
        const unsigned block = prom_block_of_(family, i, &at);
        return &family->blocks[block][at];
}

/* Whether a histogram or summary may observe v; counts an ignored update if not. Notes negative
 * values. */
static inline bool prom_admits_(struct prom_family *f, double v)
{
        if (!__builtin_isfinite(v))
                COUNT(&f->ignored, 1);
        else if (v < 0 && !LOAD(&f->has_negative))
                STORE(&f->has_negative, true);
        return __builtin_isfinite(v);
}

enum { HISTOGRAM_SUM = 0, HISTOGRAM_BUCKETS = 1 }; /* words in the sums of a histogram */

static inline void prom_ignore_update_(struct prom_family *family)
{
        COUNT(&family->ignored, 1);
}
