/* SPDX-License-Identifier: Apache-2.0 */
/* The series of a family: look-up and insertion. */
#include "prom/native.h"

#include <stdlib.h>
#include <string.h>

enum {
        TABLE_FIRST = 16,
        TABLE_SMALL = 8192, /* entries, 128 KiB */
        FEW_VALUES = 4,     /* looked up by code of their own */
};

/* ---- hashing and comparing ---------------------------------------------------------------- */

/* Of the family's id too, so that equal values in two families part, and nobody can choose values of
 * one hash: see prom_family_id_(). */
uint64_t prom_hash_values_(uint64_t seed, const char *const *values, size_t n)
{
        uint64_t hash = seed;
        for (size_t i = 0; i < n; i++) {
                const char *s = values[i] ? values[i] : "";
                words16 w = words_of(s);
                for (hash = words_mix(hash, w); words_full(w); hash = words_mix(hash, w))
                        w = words_of(s += WORDS_SIZE);
        }
        return hash;
}

static inline bool key_equals(const struct key *key, const char *const *values, size_t n)
{
        const char *p = key->values;
        for (size_t i = 0; i < n; i++) {
                if (strcmp(values[i] ? values[i] : "", p) != 0)
                        return false;
                p += key->sizes[i];
        }
        return true;
}

/* ---- the table ---------------------------------------------------------------------------- */

static struct key *table_find(const struct table *table, uint64_t hash, const char *const *values,
                              size_t n)
{
        if (!table)
                return NULL;
        for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
                struct key *key = LOAD_ACQUIRE(&table->entries[i].key);
                if (!key)
                        return NULL;
                if (table->entries[i].hash == hash && key_equals(key, values, n))
                        return key;
        }
}

static void table_put(struct table *table, uint64_t hash, struct key *key)
{
        size_t i = hash & table->mask;
        while (table->entries[i].key)
                i = (i + 1) & table->mask;
        table->entries[i].hash = hash;
        STORE_RELEASE(&table->entries[i].key, key);
        table->used++;
}

/* Makes room for one more entry, keeping the table at most half full, and a small one a quarter: most
 * look-ups then find their series at once. */
static bool table_reserve(struct prom_family *family)
{
        struct table *old = family->table;
        if (old && (old->used + 1) * (old->mask < TABLE_SMALL ? 4 : 2) <= old->mask + 1)
                return true;
        size_t n = old ? (old->mask + 1) * 2 : TABLE_FIRST;
        struct table *table = calloc(1, sizeof(*table) + n * sizeof(table->entries[0]));
        if (!table)
                return false;
        table->mask = n - 1;
        table->older = old;
        for (size_t i = 0; old && i <= old->mask; i++)
                if (old->entries[i].key)
                        table_put(table, old->entries[i].hash, old->entries[i].key);
        STORE_RELEASE(&family->table, table);
        return true;
}

/* ---- making series ------------------------------------------------------------------------ */

/* Zeros that begin a cache line. */
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
        if (prom_has_word_(family) && !family->words[block])
                family->words[block] = lines_new(n * sizeof(struct word_line));
        if (!family->blocks[block] || (prom_has_word_(family) && !family->words[block]))
                return NULL;
        struct prom_series *series = &family->blocks[block][at];
        if (prom_has_word_(family))
                series->word = &family->words[block][at].word;
        return series;
}

static struct key *key_new(struct prom_family *family, const char *const *values,
                           struct prom_series *series)
{
        const unsigned n = family->n_labels;
        size_t len = 0;
        for (unsigned i = 0; i < n; i++)
                len += strlen(values[i]) + 1;
        size_t head = sizeof(struct key) + n * (sizeof(words16) + sizeof(uint16_t));
        struct key *key = prom_arena_get_(&family->arena, head + len);
        if (!key)
                return NULL;
        char *p = (char *)key + head;
        key->series = series;
        key->values = p;
        key->sizes = (uint16_t *)(key->first + n);
        for (unsigned i = 0; i < n; i++) {
                const uint16_t size = (uint16_t)(strlen(values[i]) + 1);
                key->first[i] = words_copied(values[i]);
                key->sizes[i] = size;
                memcpy(p, values[i], size);
                p += size;
        }
        return key;
}

static struct prom_series *make_with_cell(struct prom_family *family, const char *const *values,
                                          uint32_t cell)
{
        struct prom_series *series = next_series(family);
        struct series_cold *cold = prom_arena_get_(&family->arena, sizeof(*cold));
        struct key *key = key_new(family, values, series);
        if (!series || !cold || !key)
                return NULL;
        series->family = family;
        if (prom_is_sparse_(family) && !prom_native_init_(series))
                return NULL;
        series->pub.cell = cell;
        cold->created_ms = prom_wall_ms_();
        cold->set_number = family->setting;
        series->key = key;
        series->cold = cold;
        STORE(&family->n_live, family->n_live + 1);
        STORE_RELEASE(&family->n_series, family->n_series + 1);
        return series;
}

/* The cells come first: they can run out for good, and what was taken of the family's memory is not
 * given back. */
struct prom_series *prom_series_make_(struct prom_family *family, const char *const *values)
{
        const unsigned n = prom_family_cells_(family), of_double = prom_family_float_cell_(family);
        uint32_t cell = 0;
        if (n && prom_cells_alloc_(n, of_double, &cell) < 0)
                return NULL;
        struct prom_series *series = make_with_cell(family, values, cell);
        if (!series && n)
                prom_cells_free_(cell, n, of_double);
        return series;
}

static struct key *find(const struct prom_family *family, const char *const *values)
{
        uint64_t hash = prom_hash_values_(family->id, values, family->n_labels);
        return table_find(LOAD_ACQUIRE(&family->table), hash, values, family->n_labels);
}

struct prom_series *prom_series_find_(const struct prom_family *family, const char *const *values)
{
        struct key *key = family->n_labels ? find(family, values) : NULL;
        return key ? key->series : family->only;
}

/* Puts a key into the table: of a new series, or, in a curried family, of one of the base. */
static bool insert(struct prom_family *family, const char *const *values,
                   struct prom_series *of_base)
{
        if (!table_reserve(family))
                return false;
        struct prom_series *series = of_base ? of_base : prom_series_make_(family, values);
        struct key *key = series && of_base ? key_new(family, values, series) : NULL;
        if (!series || (of_base && !key))
                return false;
        table_put(family->table, prom_hash_values_(family->id, values, family->n_labels),
                  of_base ? key : series->key);
        return true;
}

/* Finds, makes or shows again the series of a family that is not curried. */
static struct prom_series *obtain(struct prom_family *family, const char *const *values,
                                  bool past_cap)
{
        struct prom_series *series = prom_series_find_(family, values);
        if (series && series->state == SERIES_LIVE)
                return series;
        if (!past_cap && prom_family_full_(family, !series))
                return NULL;
        if (series)
                prom_series_revive_(series);
        else if (insert(family, values, NULL))
                series = prom_series_find_(family, values);
        return series;
}

/* Where look-ups go past the cap. The series counts outside of it. */
static struct prom_series *overflow(struct prom_family *family)
{
        COUNT(&family->overflows, 1);
        struct prom_series *series = LOAD_ACQUIRE(&family->overflow);
        if (series && LOAD(&series->state) == SERIES_LIVE)
                return series;
        static const char *const values[] = {[0 ... PROM_LABELS_MAX - 1] = "overflow"};
        pthread_mutex_lock(&prom_table_lock_);
        series = obtain(family, values, true);
        if (series)
                STORE_RELEASE(&family->overflow, series);
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
        else if (!find(family, own))
                (void)insert(family, own, series); /* without memory, look-ups stay slow */
        return series;
}

/* The values are in no table, perhaps only because they have to be cleaned first, or the series is
 * not live. */
static __attribute__((noinline)) struct prom_series *with_new_values(struct prom_family *family,
                                                                     const char *const *values)
{
        struct prom_family *base = family->base ? family->base : family;
        struct clean_values clean;
        prom_clean_values_(family, values, &clean);
        struct key *key = base->n_labels ? find(base, clean.values) : NULL;
        if (!family->base && key && LOAD(&key->series->state) == SERIES_LIVE)
                return key->series;
        if (!key && prom_family_full_(base, true))
                return overflow(base);
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_series *series = prom_series_obtain_(family, clean.values);
        pthread_mutex_unlock(&prom_table_lock_);
        /* No memory, or no cells left: as if the family were full. */
        return series ? series : overflow(base);
}

/* Everything but the common case. */
static __attribute__((noinline)) struct prom_series *
with_any(struct prom_family *family, enum prom_kind kind, const char *const *values, size_t n)
{
        if (!family)
                return NULL;
        if (family->kind != kind || family->n_labels != n || LOAD(&family->collector)) {
                COUNT(family->base ? &family->base->ignored : &family->ignored, 1);
                return NULL;
        }
        struct key *key = n ? find(family, values) : NULL;
        struct prom_series *series = key ? key->series : LOAD_ACQUIRE(&family->only);
        if (series && LOAD(&series->state) == SERIES_LIVE)
                return series;
        return with_new_values(family, values);
}

/* With the same arguments as with_few(). */
static __attribute__((noinline)) struct prom_series *
with_any_few(struct prom_family *family, enum prom_kind kind, size_t n, const char *a,
             const char *b, const char *c, const char *d)
{
        const char *const values[FEW_VALUES] = {a, b, c, d};
        return with_any(family, kind, values, n);
}

/* The common case of 1 to FEW_VALUES short values whose series is there: no calls, so that it needs
 * few registers. */
static inline __attribute__((always_inline)) struct prom_series *
with_few(struct prom_family *family, enum prom_kind kind, size_t n, const char *a, const char *b,
         const char *c, const char *d)
{
        words16 w[FEW_VALUES];
        if (unlikely(!family || family->kind != kind || family->n_labels != n ||
                     !words_quickly(a, &w[0]) || (n > 1 && !words_quickly(b, &w[1])) ||
                     (n > 2 && !words_quickly(c, &w[2])) || (n > 3 && !words_quickly(d, &w[3]))))
                return with_any_few(family, kind, n, a, b, c, d);
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
        return with_any_few(family, kind, n, a, b, c, d);
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

_Static_assert(
        offsetof(struct prom_family, id) == offsetof(struct prom_family_head_, id) &&
                offsetof(struct prom_series, pub) == offsetof(struct prom_series_head_, cell) &&
                offsetof(struct prom_series, state) == offsetof(struct prom_series_head_, state) &&
                offsetof(struct prom_series, word) == offsetof(struct prom_series_head_, word) &&
                (int)SERIES_LIVE == PROM_SERIES_LIVE_ &&
                (int)SERIES_REMOVED == PROM_SERIES_REMOVED_,
        "what prom.h knows of them");

/* A series that stands for others is found anew each time: the next look-up may make theirs. */
void prom_site_keep_(struct prom_site_ *site, struct prom_family *family, void *series)
{
        void *none = NULL;
        if (!series)
                return;
        const struct prom_family *base = family->base ? family->base : family;
        if (series == LOAD_ACQUIRE(&base->overflow))
                return;
        if (__atomic_compare_exchange_n(&site->series, &none, series, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
                STORE_RELEASE(&site->family_id, family->id);
}

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
