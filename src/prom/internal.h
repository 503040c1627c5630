/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of prom share. Data structures:
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
 *   it that comes upon the series, under table_lock. (lines.c, text.c, protobuf.c)
 *
 * Lock order: collect_lock of a registry, then table_lock, then slab_lock, then exemplar_lock or the
 * lock of a slab.
 */
#pragma once

#include "prom/prom.h"
#include "prom/words.h"

#include <pthread.h>
#include <stdbool.h>

#define NS_PER_S UINT64_C(1000000000)

#define LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define COUNT(p, n) __atomic_fetch_add((p), (n), __ATOMIC_RELAXED)

/* gcc and clang say in different ways that they check threads. */
#if defined(__SANITIZE_THREAD__)
#define PROM_CHECK_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PROM_CHECK_THREADS 1
#endif
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
        CHUNK_WORDS = 512,
        HISTOGRAM_SUM = 0, /* words of a histogram's sums */
        HISTOGRAM_BUCKETS = 1,
        COUNTER_INT = 0, /* words of a counter */
        COUNTER_FLOAT = 1,
        COUNTER_WORDS = 2,
        COUNTER_APART = CHUNK_WORDS, /* cells from one to the other: see cells.c */
        CACHE_LINE = 64,
        COPY_UNIT = 16,         /* text of series is copied in units of this size */
        SERIES_BLOCKS_MAX = 32, /* each block is twice the size of the one before */
        SERIES_BLOCK_FIRST = 16,
        LINE_EXTRA = 64, /* room for the number and newline of a line, and for overshooting */
        PAIR_WORDS = 2,  /* of a bucket: see cells.h */
        SERIES_CELLS_MAX = PAIR_WORDS * (PROM_BUCKETS_MAX + 1),
        ESCAPED_NAME_MAX = 5 * PROM_NAME_MAX + 3, /* a dot may become "_dot_", and U__ in front */
        LABELS_TEXT_MAX = PROM_LABELS_MAX * (ESCAPED_NAME_MAX + 2 * PROM_LABEL_VALUE_MAX + 16),
};

static inline double double_of(uint64_t bits)
{
        double v;
        __builtin_memcpy(&v, &bits, sizeof(v));
        return v;
}

static inline uint64_t bits_of(double v)
{
        uint64_t bits;
        __builtin_memcpy(&bits, &v, sizeof(bits));
        return bits;
}

/* ---- errors (validate.c) ---------------------------------------------------------------- */

/* Fills error, if there is one, and returns -code. */
int prom_fail_(struct prom_error *error, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* -EINVAL with a message naming the metric, unless the description can be registered. */
int prom_check_desc_(const struct prom_desc *desc, struct prom_error *error);
int prom_check_kind_(const struct prom_desc *desc, struct prom_error *error); /* kinds.c */
bool prom_is_name_char_(char c); /* of a metric name, but for its first */
size_t prom_desc_n_buckets_(const struct prom_desc *desc);
const double *prom_desc_buckets_(const struct prom_desc *desc);

/* Writes value, made valid UTF-8 and at most PROM_LABEL_VALUE_MAX bytes long. Returns the length.
 */
size_t prom_clean_value_(const char *value, char out[PROM_LABEL_VALUE_MAX + 1]);
bool prom_is_utf8_(const char *s);

/* ---- memory that lives as long as its family (arena.c) ----------------------------------- */

struct arena {
        struct arena_chunk *chunks;
        char *next;
        size_t left;
        size_t chunk_size;
};

/* n bytes, aligned to COPY_UNIT, zeroed; NULL without memory. */
void *prom_arena_get_(struct arena *arena, size_t n);
void prom_arena_release_(struct arena *arena);

/* Makes room for `need` elements in the array at *p (at least 1); false without memory. */
#define GROW(p, cap, need)                                                                         \
        ({                                                                                         \
                const size_t need_ = (need);                                                       \
                void *grown_ = *(p);                                                               \
                if (need_ > *(cap))                                                                \
                        grown_ = prom_grow_(*(p), (cap), need_, sizeof(**(p)));                    \
                if (grown_)                                                                        \
                        *(p) = grown_;                                                             \
                grown_ != NULL;                                                                    \
        })
void *prom_grow_(void *array, size_t *cap, size_t need, size_t size);

/* ---- locks ------------------------------------------------------------------------------ */

extern pthread_mutex_t prom_slab_lock_;
extern pthread_mutex_t prom_table_lock_;

/* ---- families and series ---------------------------------------------------------------- */

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

enum { N_ESCAPINGS = PROM_ALLOW_UTF8 + 1 };

struct counter_value {
        uint64_t whole;
        double part;
        int64_t created_ms; /* if asked for */
        bool shown;         /* false: leave the series out */
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
        bool pinned;         /* never to be recycled */
        uint64_t recycling;  /* the number of its last one */
        bool removed;        /* it is among the removed ones of the family */
        uint64_t retired_ns; /* prom_now_ns() when it was taken from these */
        struct prom_series *removed_next, *removed_before;
};

/* A series as the table knows it. */
struct key {
        struct prom_series *series; /* of the base, in the table of a curried family */
        char *values;               /* each with its NUL, one after the other; then one more */
        struct key *next_spare;
        uint32_t room;     /* for values */
        uint32_t spared_s; /* when it became a spare one, by prom_now_ns(); see recycle.c */
        words16 first[];   /* of each value; see words.h. Behind them, as uint16_t, the sizes of the
                            values, the NUL included */
};

struct table_entry {
        uint64_t hash;
        struct key *key; /* stored last, with release */
};

struct table {
        size_t mask;
        size_t used;
        struct table *older; /* replaced ones are kept for readers */
        struct table_entry entries[];
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
        struct rendering *renderings[N_DIALECTS][N_ESCAPINGS]; /* NULL until asked for */

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

struct prom_registry {
        struct prom_family **families; /* sorted by name */
        size_t n_families;
        size_t n_own; /* of them: those about the registry itself, which take no one's place */
        size_t cap_families;
        struct prom_family *all;
        struct prom_collector *collectors;
        pthread_mutex_t collect_lock; /* held while a scrape waits for its collectors */
        pthread_cond_t collect_idle;  /* a busy collector has returned */
        struct prom_registry *next;   /* in the list of all, for fork */
};

struct prom_collector {
        struct prom_registry *registry;
        prom_collect_fn *collect;
        prom_guard_fn_ *guard; /* calls it; NULL: it is called directly */
        void *data;
        prom_value_fn *value; /* of prom_register_value() */
        struct prom_family **families;
        size_t n;
        bool own;  /* the registry's own: it runs on the scrape's thread */
        bool busy; /* no scrape waits for it: it did not return in time. Under collect_lock */
        struct prom_collector *next;
};

/* Makes a family that is in no registry yet. 0, -ENOMEM, -ENOSPC, with the message. */
int prom_family_new_(const struct prom_desc *desc, struct prom_family **ret,
                     struct prom_error *error);
void prom_family_free_(struct prom_family *family);

/* With table_lock held: an id that was never used. */
uint64_t prom_family_id_(void);

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

/* ---- series -------------------------------------------------------------------------------- */

/* With table_lock held: makes a series of this key, which is in no table yet. NULL without memory or
 * cells. */
struct prom_series *prom_series_make_(struct prom_family *family, struct key *key);

/* With table_lock held: the series with these clean values, live, or NULL. */
struct prom_series *prom_series_find_(const struct prom_family *family, const char *const *values);

/* With table_lock held: the same, made or shown again if need be, and entered in the table of the
 * curried family too. NULL if the family is full, and without memory or cells. */
struct prom_series *prom_series_obtain_(struct prom_family *family, const char *const *values);

/* The values, or those of a curried family, made clean and completed to those of the base. */
struct clean_values {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};
void prom_clean_values_(const struct prom_family *family, const char *const *values,
                        struct clean_values *ret);

/* With table_lock held: shows a removed or hidden series again. (life.c) */
void prom_series_revive_(struct prom_series *series);

/* Has it as many live series, or, for a new one, as many in all, as it may? An estimate to those
 * without table_lock. */
bool prom_family_full_(const struct prom_family *family, bool for_new);

int64_t prom_wall_ms_(void);

/* Is it counted in sparse buckets, those of a native histogram or of a summary? See native.h. */
static inline bool prom_is_sparse_(const struct prom_family *f)
{
        return f->native || f->kind == PROM_SUMMARY;
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

/* Is its value a shared word? */
static inline bool prom_has_word_(const struct prom_family *f)
{
        return f->kind == PROM_GAUGE || f->kind == PROM_STATESET;
}

/* How many bounds are below v: the index of its classic bucket. */
size_t prom_find_bucket_(const struct prom_family *family, double v);

/* Cells of one series of the family. No histogram has COUNTER_WORDS, which are placed otherwise. */
static inline unsigned prom_family_cells_(const struct prom_family *f)
{
        if (prom_is_sparse_(f))
                return 1; /* the address of a block */
        switch (f->kind) {
        case PROM_COUNTER:
                return COUNTER_WORDS;
        case PROM_HISTOGRAM:
                return PAIR_WORDS * (f->n_buckets ? (unsigned)f->n_buckets + 1 : 2);
        default:
                return 0;
        }
}

/* Words of the sums of a series that is not sparse: see prom_series_sums_(). */
static inline unsigned prom_family_words_(const struct prom_family *f)
{
        if (f->kind == PROM_COUNTER)
                return COUNTER_WORDS;
        return f->kind == PROM_HISTOGRAM ? HISTOGRAM_BUCKETS + (unsigned)f->n_buckets + 1 : 0;
}

/* Registers with all checks; collector may be NULL, reuse means prom_obtain_all(). */
int prom_register_families_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            struct prom_collector *collector, bool reuse,
                            struct prom_family **ret_families, struct prom_error *error);

/* ---- scraping --------------------------------------------------------------------------- */

enum { SUM_BATCH = 512 }; /* counters summed under one hold of slab_lock */

/* Names and values of at most PROM_EXEMPLAR_LABELS_MAX labels, each with its NUL. */
enum { EXEMPLAR_TEXT_MAX = 4 * PROM_EXEMPLAR_RUNES_MAX + 2 * PROM_EXEMPLAR_LABELS_MAX };

struct exemplar {
        double value;
        int64_t time_ms; /* since 1970 */
        unsigned n_labels;
        char text[EXEMPLAR_TEXT_MAX]; /* name, value, name, value… */
};

struct sample {
        uint64_t hash;
        size_t values; /* of its label values in text, each with its NUL, one after the other */
        size_t len;    /* of all these */
        const struct prom_family *family;
        double value;  /* of a histogram: its sum */
        size_t counts; /* of a histogram: those of its buckets in scratch->counts */
        size_t next;   /* index + 1 of the next sample of the family, 0 at the end */
};

struct family_samples {
        struct prom_family *family;
        size_t first; /* index + 1 */
        size_t last;
        size_t n;
};

/*
 * The samples of one scrape, and the thread that gathers them (gather.c). Belongs to the scrape; to
 * that thread from the moment that the scrape gives up waiting for it.
 */
struct gathering {
        struct family_samples *per_family; /* one for each family fed by a collector */
        size_t cap_per_family;
        size_t n_per_family;
        struct sample *samples;
        size_t cap_samples;
        size_t n_samples;
        size_t *seen; /* hash table of samples, index + 1, against duplicates */
        size_t cap_seen;
        char *text;
        size_t text_len;
        size_t text_cap;
        uint64_t *counts;
        size_t n_counts;
        size_t cap_counts;

        struct prom_registry *registry;
        struct prom_collector **collectors; /* to be run, in order */
        size_t cap_collectors;
        size_t n_collectors;

        pthread_mutex_t lock; /* guards all below */
        pthread_cond_t changed;
        size_t at;         /* the collector that runs, or is next */
        uint64_t since_ns; /* prom_now_ns() when that one began */
        int result;        /* -ENOMEM once memory ran out */
        enum { GATHERING, GATHER_DONE, GATHER_LEFT, GATHER_ABANDONED } state;
};

struct prom_scratch {
        struct prom_family **families;
        size_t cap_families;
        size_t n_families;
        struct gathering *gathering;               /* NULL before the first scrape */
        const struct prom_render_options *options; /* of the scrape; NULL for none */
        struct counter_value values[SUM_BATCH];
        struct prom_snapshot histogram;
        struct prom_native_snapshot native;
        struct prom_quantile_snapshot summary;
        struct exemplar exemplar;
        char labels[LABELS_TEXT_MAX];
};

/* ---- values of series at a scrape (read.c) ------------------------------------------------ */

/* For the formats. Each function takes slab_lock itself; what it returns belongs together. A series
 * that is not shown (removed or hidden) is to be left out. Families of collectors have no series
 * but samples in the scratch. Label values are series->key->values, each with its NUL. */

/* Before the series of a family are read in a scrape: hides what is idle for too long. */
void prom_family_scraped_(struct prom_family *family);

/* n <= SUM_BATCH counters that lie one after the other: see format.c. */
void prom_read_counters_(struct prom_series *series, size_t n, bool with_created,
                         struct counter_value *ret_values);

/* Of a gauge, an info (1) or a state set (its bits as an integer in *ret_bits). An info that
 * prom_info_set() showed only after `n_sets` of the family was loaded (with acquire, before the first
 * of its series is read) is not shown: the one before it may have been read already. */
bool prom_read_gauge_(const struct prom_series *series, uint64_t n_sets, double *ret_value);
bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits);

/* The rest: 1; 0 if the series is not shown; -ENOMEM, which must not pass for that.
 *
 * Classic buckets. One with native buckets alone has n_buckets 0 and only +Inf. */
int prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret_snapshot);

/* A histogram with native buckets (family->native): both at one moment. Of one without
 * classic buckets, classic holds the +Inf bucket. */
int prom_read_native_(struct prom_series *series, struct prom_snapshot *ret_classic,
                      struct prom_native_snapshot *ret_native);

int prom_read_summary_(struct prom_series *series, struct prom_quantile_snapshot *ret_snapshot);

/* With slab_lock held: prom_family_words_() of sums since ever. */
void prom_series_sums_(const struct prom_series *series, uint64_t *ret_words);

/* With slab_lock held: counts what a removed series was updated by since it was last looked at as
 * ignored. */
void prom_series_settle_(struct prom_series *series);

/* With slab_lock held: the series begins anew now. No two times of its creation are the same. */
void prom_series_restamp_(struct prom_series *series);

/* ---- exemplars (exemplar.c) --------------------------------------------------------------- */

/* Slots of a series: 1 of a counter, one for each classic bucket (+Inf included) of a histogram,
 * PROM_NATIVE_EXEMPLARS of one with native buckets alone, otherwise 0. */
size_t prom_exemplar_slots_(const struct prom_family *family);

static inline bool prom_has_exemplars_(const struct prom_series *series)
{
        return LOAD_ACQUIRE(&series->cold->exemplars) != NULL;
}

extern pthread_mutex_t prom_exemplar_lock_;

/* Of a series that begins anew, or is freed. */
void prom_forget_exemplars_(struct prom_series *series);
void prom_free_exemplars_(struct prom_series *series);

/* Copies the exemplar in that slot; false if there is none. */
bool prom_read_exemplar_(const struct prom_series *series, size_t slot,
                         struct exemplar *ret_exemplar);

struct prom_emitter {
        struct gathering *gathering;
        struct prom_collector *collector;
        const struct prom_scratch *scratch; /* of the registry's own collector; NULL for others */
        size_t base;                        /* of this collector's entries in per_family */
        int failed; /* -ENOMEM once memory ran out, -ECANCELED if an exception left it */
};

/* Runs the collectors, except those without a wanted family; their samples are in
 * scratch->gathering afterwards. Without its samples: a collector that fails or does not return.
 * 0 or -ENOMEM. */
int prom_gather_(struct prom_registry *registry, struct prom_scratch *scratch);
void prom_gathering_free_(struct gathering *gathering);

/* Runs one. 0, -ENOMEM, or -ECANCELED if an exception left it: its samples are dropped then. */
int prom_run_collector_(struct prom_collector *collector, struct gathering *gathering,
                        const struct prom_scratch *scratch);

/* Drops the samples of the collector that was run last. */
void prom_drop_collected_(struct gathering *gathering, const struct prom_collector *collector);

/* The samples of this family, which is one of those in the scratch; NULL if its collector was not
 * run, or failed. */
const struct family_samples *prom_samples_of_(const struct gathering *gathering,
                                              const struct prom_family *family);

/* Registers one of the library's own collectors, which scrapes run on their own thread. */
int prom_register_own_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                       prom_collect_fn *collect, struct prom_error *error);

/* The counters every registry has about itself. */
int prom_register_self_(struct prom_registry *registry);

/* What a collector emitted for a histogram. */
void prom_sample_histogram_(const struct gathering *gathering, const struct sample *sample,
                            struct prom_snapshot *ret_snapshot);

/* Copies the registry's families into scratch. 0 or -ENOMEM. */
int prom_list_families_(struct prom_registry *registry, struct prom_scratch *scratch);
