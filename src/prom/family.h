/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families and their series: the data that updates, look-ups and scrapes share.
 *
 * - Counters and histograms live in *cells*, words with process-wide numbers. Each processor has a
 *   *slab*: an array of all cells, without memory where nothing was counted. A scrape adds up all
 *   slabs under slab_lock. (cells.h, percpu.h)
 * - Sparse buckets, those of native histograms and summaries, are in blocks of memory, one for each
 *   slab and series; the cell of the series holds the block's address. (native.h)
 * - A gauge or a state set is one shared word in a cache line of its own: beside what every update
 *   reads, a set by one thread would cost all others a miss. An info is always 1.
 * - Series stand in blocks that never move, in the order they were made; `n_series` is stored last,
 *   so a scrape walks them without a lock. Look-up reads an open-addressing table without one, too: it
 *   is replaced when it grows, and who finds nothing while a key is removed (`moves`) asks again under
 *   table_lock, which inserting and removing take. (series.c, table.c, words.h)
 * - A series is never freed. One that is removed stays as it is but for its state; when it comes
 *   back, what its cells hold by then becomes its baseline, and what it shows is counted from there
 *   (sparse buckets have epochs instead). States and baselines change under both table_lock and
 *   slab_lock, so whoever has either sees whole lives. (life.c, read.c)
 * - When there are many, the one removed the longest ago is used for other label values, once that is
 *   long enough ago for all who look series up or update without a lock, and while there is no visit.
 *   (keys.h, recycle.c)
 * - All text of a series but its numbers is rendered once for each dialect, at the first scrape in
 *   it that comes upon the series, under table_lock. (layout.h)
 *
 * The locks and their order are in locks.h.
 */
#pragma once

#include "prom/arena.h"
#include "prom/atomic.h"
#include "prom/cells.h"
#include "prom/escape.h"
#include "prom/kind.h"
#include "prom/prom.h"

enum {
        SERIES_BLOCKS_MAX = 32, /* each block is twice the size of the one before */
        SERIES_BLOCK_FIRST = 16,
};

/* What a native histogram begins with, and is held to. */
struct native_limits {
        int schema;
        size_t max_buckets;
        double zero_threshold;
        double max_zero_threshold;
        uint64_t min_reset_ns; /* 0: never */
};

enum series_state {
        SERIES_LIVE,
        SERIES_HIDDEN,  /* idle for too long; shown again when its value changes */
        SERIES_REMOVED, /* by the program; comes back when it is looked up */
};

enum dialect {
        DIALECT_TEXT, /* also 1.0.0 */
        DIALECT_OPENMETRICS,
        DIALECT_PROTOBUF,
        N_DIALECTS
};

/* What updates and scrapes touch. Never moves, never freed before its family.
 * `state`, `word` of a gauge that comes back, and what is in `cold` change under slab_lock, the
 * state under table_lock too. */
struct prom_series {
        uint32_t cell;     /* the first of them */
        uint8_t state;     /* enum series_state */
        bool has_baseline; /* cold->baseline is not all 0 */
        bool recycled;     /* it was, ever */
        union {
                uint64_t *word;        /* of a gauge: its value; a state set: its bits */
                struct native *native; /* of a native histogram or summary: all it is */
        };
        struct prom_family *family;
        struct key *key; /* its label values */
        struct series_cold *cold;
};

struct word_line {
        uint64_t word;
        uint64_t unused[CACHE_LINE / sizeof(uint64_t) - 1];
};

/* The rest of a series. */
struct series_cold {
        int64_t created_ms;
        uint64_t *baseline; /* its sums when it last came back; what it shows is counted from
                               there. Of a removed one: when it was last looked at. Or NULL */
        struct kept_exemplar **exemplars; /* by slot; see exemplar.c */
        size_t next_exemplar;             /* of native buckets alone */
        uint64_t idle_value;              /* a digest of what the last change was to */
        uint64_t idle_since_ns;           /* prom_now_ns(); 0: not looked at yet */
        uint64_t set_number; /* of an info: that of the prom_info_set() that showed it; else 0 */
        size_t index;        /* of the series in its family */
        uint64_t recycling;  /* the number of its last one */
        bool removed;        /* it is among the removed ones of the family */
        uint64_t retired_ns; /* prom_now_ns() when it was taken from these */
        struct prom_series *removed_next, *removed_before;
};

struct label_slot {
        const char *name;
        const char *raw; /* value of a const label; NULL for a variable one */
        unsigned index;  /* of the value otherwise */
};

struct prom_family {
        enum prom_kind kind;
        unsigned n_labels; /* variable ones */
        uint64_t id;       /* never used again in this process */
        const struct kind_ops *ops;
        unsigned n_cells;     /* of each series */
        unsigned n_sums;      /* words of the sums of each: see kind_ops */
        unsigned n_exemplars; /* slots of each */
        bool exemplar_ring;   /* the next exemplar takes the next slot, whatever it is of */
        size_t max_series;
        struct prom_registry *registry;
        struct prom_collector *collector; /* NULL for a family with handles */
        bool retired;                     /* that was removed */
        struct prom_family *base;         /* of a curried one; never itself curried */
        const char *const *fixed;         /* then: by label of the base, NULL for those left */
        struct prom_family *curried;      /* list of those curried from this one, linked by next */
        const char *name;
        const char *help;
        const char *const *labels;
        const struct label_slot *slots; /* all labels, sorted by name */
        unsigned n_slots;
        bool legacy_names; /* its own and those of its labels, which no escaping changes */
        const char *open_names[N_ESCAPINGS]; /* see prom_open_name_() */
        const char *unit;                    /* or NULL */
        const char *const *states;           /* of a state set */
        size_t n_states;
        const double *quantiles; /* of a summary */
        size_t n_quantiles;
        uint64_t max_age_ns;
        struct native_limits limits; /* of a native histogram or summary; see native.c */
        bool native;                 /* a histogram with native buckets */
        bool classic;                /* one with classic ones */
        uint64_t idle_timeout_ns;
        bool idle_remove;
        size_t n_buckets; /* +Inf not counted */
        const double *bounds;
        size_t n_padded; /* bounds filled up with +Inf to a multiple of 8 */
        struct layout *layouts[N_DIALECTS][N_ESCAPINGS]; /* see layout.h; NULL until asked for */

        struct prom_series *blocks[SERIES_BLOCKS_MAX];
        struct word_line *words[SERIES_BLOCKS_MAX]; /* of gauges and state sets, as the blocks */
        size_t n_series;                            /* removed and hidden ones included */
        size_t n_live; /* under table_lock; an estimate to those without */
        struct table *table;
        uint64_t moves;                       /* of keys in the table: odd while one is removed */
        struct key *spare_first, *spare_last; /* keys that were removed from it, in order */
        struct prom_series *removed_first, *removed_last; /* in the order of their removal */
        size_t n_removed;                                 /* those in this list */
        struct prom_series *retired_first, *retired_last; /* removed before them, and in no table */
        uint64_t recycle_from_ns; /* when the first of these may be recycled; 0: there is none */
        struct prom_series *overflow; /* made when first needed */
        struct prom_series *only;     /* of a family without labels, or all of them curried */
        struct arena arena;

        bool has_parts;     /* some counter was added a fraction */
        bool has_negative;  /* some histogram observed a value below 0 */
        bool has_exemplars; /* some series has one, or had */
        uint64_t n_sets;    /* of an info: how many prom_info_set() are done */
        uint64_t setting;   /* under table_lock: the number of the one under way; 0: none is */
        uint64_t overflows;
        uint64_t ignored;
        uint64_t failures;        /* scrapes that left it out since its collector failed */
        size_t samples_at;        /* of a collector's: where its samples were in the last scratch */
        struct prom_family *next; /* in the registry's list of all, retired ones included */
};

/* The family itself, or the one it is curried from. */
static inline struct prom_family *prom_base_of_(struct prom_family *family)
{
        return family->base ? family->base : family;
}

/* Series stand in blocks: block b holds `first << b` of them and begins with number
 * `first * (2^b - 1)`. A family without labels has one series, and a block of one. */
static inline size_t prom_block_size_(const struct prom_family *family, unsigned block)
{
        return (size_t)(family->n_labels ? SERIES_BLOCK_FIRST : 1) << block;
}

/* The block of series i, and where in it. */
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

/* May a histogram or summary observe v? Counted as ignored if not; and those below 0 are remembered. */
static inline bool prom_admits_(struct prom_family *f, double v)
{
        if (!__builtin_isfinite(v))
                COUNT(&f->ignored, 1);
        else if (v < 0 && !LOAD(&f->has_negative))
                STORE(&f->has_negative, true);
        return __builtin_isfinite(v);
}

enum { HISTOGRAM_SUM = 0, HISTOGRAM_BUCKETS = 1 }; /* words of a histogram's sums */

static inline void prom_ignore_update_(struct prom_family *family)
{
        COUNT(&family->ignored, 1);
}
