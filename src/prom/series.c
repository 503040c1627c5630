/* SPDX-License-Identifier: Apache-2.0 */
/* The series of a family: making them and looking them up. */
#include "prom/series.h"

#include "prom/clock.h"
#include "prom/grace.h"
#include "prom/life.h"
#include "prom/locks.h"
#include "prom/recycle.h"
#include "prom/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FEW_VALUES = 4 }; /* up to this many values have a faster look-up */

/* ---- making series ------------------------------------------------------------------------ */

/* Zeroed memory at the start of a cache line. */
static void *lines_new(size_t size)
{
        size = (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
        void *lines = aligned_alloc(CACHE_LINE, size);
        return lines ? memset(lines, 0, size) : NULL;
}

static struct prom_series *next_series(struct prom_family *family)
{
        size_t at;
        const unsigned block = prom_block_of_(family, family->n_series, &at);
        const size_t n = prom_block_size_(family, block);
        if (!family->blocks[block])
                family->blocks[block] = lines_new(n * sizeof(struct prom_series));
        if (prom_kind_has_(family->ops, KIND_WORD) && !family->words[block])
                family->words[block] = lines_new(n * sizeof(struct word_line));
        if (!family->blocks[block] ||
            (prom_kind_has_(family->ops, KIND_WORD) && !family->words[block]))
                return NULL;
        struct prom_series *series = &family->blocks[block][at];
        if (prom_kind_has_(family->ops, KIND_WORD))
                series->word = &family->words[block][at].word;
        return series;
}

static struct prom_series *make_with_cell(struct prom_family *family, uint32_t cell)
{
        struct prom_series *series = next_series(family);
        if (!series)
                return NULL;
        /* An earlier attempt that ran out of memory may have left this. */
        if (!series->cold)
                series->cold = prom_arena_get_(&family->arena, sizeof(*series->cold));
        struct series_cold *cold = series->cold;
        if (!cold)
                return NULL;
        series->family = family;
        if (family->ops->init && !family->ops->init(series))
                return NULL;
        series->cell = cell;
        cold->created_ms = prom_wall_ms_();
        cold->set_number = family->setting;
        cold->index = family->n_series;
        return series;
}

/* Allocates the cells first, because they can run out and the arena does not take memory back. */
struct prom_series *prom_series_make_(struct prom_family *family, struct key *key)
{
        const unsigned n = family->n_cells;
        uint32_t cell = 0;
        if (n && prom_cells_alloc_(n, &cell) < 0)
                return NULL;
        struct prom_series *series = make_with_cell(family, cell);
        if (!series) {
                if (n)
                        prom_cells_free_(cell, n);
                return NULL;
        }
        series->key = key;
        key->series = series;
        STORE(&family->n_live, family->n_live + 1);
        STORE_RELEASE(&family->n_series, family->n_series + 1);
        return series;
}

struct prom_series *prom_series_find_(const struct prom_family *family, const char *const *values)
{
        struct key *key = family->n_labels ? prom_table_find_(family, values) : NULL;
        return key ? key->series : family->only;
}

/* Recycles a removed series if possible, otherwise makes a new one. */
static struct prom_series *recycle_or_make(struct prom_family *family, struct key *key,
                                           bool past_cap)
{
        const bool no_more = family->n_series >= family->max_series * PROM_TOMBSTONES_FACTOR;
        struct prom_series *series = prom_recycle_(family);
        if (!series)
                return no_more && !past_cap ? NULL : prom_series_make_(family, key);
        series->key = key;
        key->series = series;
        prom_series_revive_(series);
        return series;
}

/* Inserts a series with these values, which are not in the table. */
static struct prom_series *insert(struct prom_family *family, const char *const *values,
                                  bool past_cap)
{
        struct key *key = prom_table_reserve_(family) ? prom_key_new_(family, values) : NULL;
        struct prom_series *series = key ? recycle_or_make(family, key, past_cap) : NULL;
        if (series)
                prom_table_put_(family, key);
        else if (key)
                prom_key_unused_(family, key);
        return series;
}

/* Enters the series in the table of a curried family. Without memory, look-ups there remain slow.
 */
static void insert_curried(struct prom_family *family, const char *const *values,
                           struct prom_series *of_base)
{
        struct key *key = prom_table_reserve_(family) ? prom_key_new_(family, values) : NULL;
        if (!key)
                return;
        key->series = of_base;
        prom_table_put_(family, key);
}

/* The live series of a family that is not curried; creates it or brings it back if necessary. */
static struct prom_series *obtain(struct prom_family *family, const char *const *values,
                                  bool past_cap)
{
        struct prom_series *series = prom_series_find_(family, values);
        if (series && series->state == SERIES_LIVE)
                return series;
        if (!past_cap && prom_family_full_(family, !series))
                return NULL;
        if (!series)
                return insert(family, values, past_cap);
        prom_series_revive_(series);
        return series;
}

/* The series for look-ups beyond max_series, to which it does not count. It is never recycled, so
 * reading family->overflow without the lock is safe. */
static struct prom_series *overflow(struct prom_family *family)
{
        COUNT(&family->overflows, 1);
        struct prom_series *series = LOAD_ACQUIRE(&family->overflow);
        if (series && LOAD(&series->state) == SERIES_LIVE)
                return series;
        static const char *const values[] = {[0 ... PROM_LABELS_MAX - 1] = "overflow"};
        pthread_mutex_lock(&prom_table_lock_);
        series = obtain(family, values, true);
        if (series) {
                STORE_RELEASE(&family->overflow, series);
        }
        pthread_mutex_unlock(&prom_table_lock_);
        return series;
}

/* ---- look-up ------------------------------------------------------------------------------ */

void prom_clean_values_(const struct prom_family *family, const char *const *values,
                        struct clean_values *ret)
{
        const struct prom_family *base = family->base ? family->base : family;
        unsigned next = 0;
        for (unsigned i = 0; i < base->n_labels; i++) {
                ret->values[i] = ret->text[i];
                if (family->base && family->fixed[i])
                        ret->values[i] = family->fixed[i];
                else
                        prom_clean_value_(values[next++], ret->text[i]);
        }
}

struct prom_series *prom_series_obtain_(struct prom_family *family, const char *const *full)
{
        struct prom_family *base = family->base ? family->base : family;
        struct prom_series *series = obtain(base, full, false);
        if (!series || base == family)
                return series;
        const char *own[PROM_LABELS_MAX];
        for (unsigned i = 0, next = 0; i < base->n_labels; i++)
                if (!family->fixed[i])
                        own[next++] = full[i];
        if (family->n_labels == 0)
                STORE_RELEASE(&family->only, series);
        else if (!prom_table_find_(family, own))
                insert_curried(family, own, series);
        return series;
}

/* The live series with these clean values if the family's own table has it, otherwise NULL. A
 * curried family does not yet have a series that was created through its base. */
static struct prom_series *find_clean(const struct prom_family *family, const struct key *of_base,
                                      const struct clean_values *clean)
{
        const char *own[PROM_LABELS_MAX];
        if (!of_base || LOAD(&of_base->series->state) != SERIES_LIVE)
                return NULL;
        if (!family->base)
                return of_base->series;
        for (unsigned i = 0, next = 0; i < family->base->n_labels; i++)
                if (!family->fixed[i])
                        own[next++] = clean->values[i];
        const struct key *key = family->n_labels ? prom_table_find_(family, own) : NULL;
        return key && LOAD(&key->series->state) == SERIES_LIVE ? key->series : NULL;
}

/* For values that are in no table as they are, perhaps only because they are not clean, or whose
 * series is not live. The fence and the second load of `moves` complete the protocol of table.h:
 * only if it is even and unchanged is it certain that the key is missing, and a full family needs
 * no lock then. */
static __attribute__((noinline)) struct prom_series *with_new_values(struct prom_family *family,
                                                                     const char *const *values)
{
        struct prom_family *base = family->base ? family->base : family;
        struct clean_values clean;
        prom_clean_values_(family, values, &clean);
        const uint64_t moves = LOAD_ACQUIRE(&base->moves);
        struct key *key = base->n_labels ? prom_table_find_(base, clean.values) : NULL;
        struct prom_series *series = find_clean(family, key, &clean);
        if (series)
                return series;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!key && base->n_labels && !(moves & 1) && LOAD(&base->moves) == moves &&
            prom_family_full_(base, true))
                return overflow(base);
        pthread_mutex_lock(&prom_table_lock_);
        series = prom_series_obtain_(family, clean.values);
        pthread_mutex_unlock(&prom_table_lock_);
        /* Without memory or cells, treat the family as full. */
        return series ? series : overflow(base);
}

/* All cases that find_few() does not handle. */
static __attribute__((noinline)) struct prom_series *
with_any(struct prom_family *family, enum prom_kind kind, const char *const *values, size_t n)
{
        if (!family)
                return NULL;
        if (family->kind != kind || family->n_labels != n || LOAD(&family->collector)) {
                COUNT(family->base ? &family->base->ignored : &family->ignored, 1);
                return NULL;
        }
        struct key *key = n ? prom_table_find_(family, values) : NULL;
        struct prom_series *series = key ? key->series : LOAD_ACQUIRE(&family->only);
        if (series && LOAD(&series->state) == SERIES_LIVE)
                return series;
        return with_new_values(family, values);
}

/* As with_any(), with the arguments of with_few(). */
static __attribute__((noinline)) struct prom_series *with_any_few(struct prom_family *family,
                                                                  enum prom_kind kind, size_t n,
                                                                  const char *a, const char *b,
                                                                  const char *c, const char *d)
{
        const char *const values[FEW_VALUES] = {a, b, c, d};
        return with_any(family, kind, values, n);
}

/* The series of 1 to FEW_VALUES short values, if it is live; NULL in all other cases. It calls
 * nothing, so the compiler need not save registers. */
static inline __attribute__((always_inline)) struct prom_series *
find_few(struct prom_family *family, enum prom_kind kind, size_t n, const char *a, const char *b,
         const char *c, const char *d)
{
        words16 w[FEW_VALUES];
        if (unlikely(!family || family->kind != kind || family->n_labels != n ||
                     !words_of_short(a, &w[0]) || (n > 1 && !words_of_short(b, &w[1])) ||
                     (n > 2 && !words_of_short(c, &w[2])) || (n > 3 && !words_of_short(d, &w[3]))))
                return NULL;
        uint64_t hash = family->id;
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++)
                hash = words_mix(hash, w[i]);
        const struct table *table = LOAD_ACQUIRE(&family->table);
        for (size_t at = hash; likely(table); at++) {
                const struct table_entry *entry = table->entries + (at & table->mask);
                const struct key *key = LOAD_ACQUIRE(&entry->key);
                if (unlikely(!key))
                        break;
                if (unlikely(!words_equal(key->first, w, n)))
                        continue;
                if (likely(LOAD(&key->series->state) == SERIES_LIVE))
                        return key->series;
                break;
        }
        return NULL;
}

static inline __attribute__((always_inline)) struct prom_series *
with_few(struct prom_family *family, enum prom_kind kind, size_t n, const char *a, const char *b,
         const char *c, const char *d)
{
        struct prom_series *series = find_few(family, kind, n, a, b, c, d);
        grace_end_reading();
        return likely(series) ? series : with_any_few(family, kind, n, a, b, c, d);
}

void *prom_with_1_(struct prom_family *family, enum prom_kind kind, const char *a)
{
        return with_few(family, kind, 1, a, NULL, NULL, NULL);
}

void *prom_with_2_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b)
{
        return with_few(family, kind, 2, a, b, NULL, NULL);
}

void *prom_with_3_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c)
{
        return with_few(family, kind, 3, a, b, c, NULL);
}

void *prom_with_4_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c, const char *d)
{
        return with_few(family, kind, 4, a, b, c, d);
}

void *prom_with_many_(struct prom_family *family, enum prom_kind kind, const char *const *values,
                      size_t n)
{
        switch (n) {
        case 1:
                return prom_with_1_(family, kind, values[0]);
        case 2:
                return prom_with_2_(family, kind, values[0], values[1]);
        case 3:
                return prom_with_3_(family, kind, values[0], values[1], values[2]);
        case 4:
                return prom_with_4_(family, kind, values[0], values[1], values[2], values[3]);
        default:
                return with_any(family, kind, values, n);
        }
}

_Static_assert(offsetof(struct prom_series, cell) == offsetof(struct prom_series_head_, cell) &&
                       offsetof(struct prom_series, state) ==
                               offsetof(struct prom_series_head_, state) &&
                       offsetof(struct prom_series, word) ==
                               offsetof(struct prom_series_head_, word) &&
                       (int)SERIES_REMOVED == PROM_SERIES_REMOVED_,
               "inline.h knows the beginning of a series");

struct prom_counter *prom_counter_with_values(struct prom_family *family, const char *const *values,
                                              size_t n)
{
        return prom_with_many_(family, PROM_COUNTER, values, n);
}

struct prom_gauge *prom_gauge_with_values(struct prom_family *family, const char *const *values,
                                          size_t n)
{
        return prom_with_many_(family, PROM_GAUGE, values, n);
}

struct prom_summary *prom_summary_with_values(struct prom_family *family, const char *const *values,
                                              size_t n)
{
        return prom_with_many_(family, PROM_SUMMARY, values, n);
}

struct prom_info *prom_info_with_values(struct prom_family *family, const char *const *values,
                                        size_t n)
{
        return prom_with_many_(family, PROM_INFO, values, n);
}

struct prom_stateset *prom_stateset_with_values(struct prom_family *family,
                                                const char *const *values, size_t n)
{
        return prom_with_many_(family, PROM_STATESET, values, n);
}

struct prom_histogram *prom_histogram_with_values(struct prom_family *family,
                                                  const char *const *values, size_t n)
{
        return prom_with_many_(family, PROM_HISTOGRAM, values, n);
}
