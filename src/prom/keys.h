/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How series are found by their label values, and what becomes of the memory of those that were removed.
 * Internal; internal.h tells how it goes together.
 */
#pragma once

#include "prom/internal.h"

/* ---- label values as keys (table.c) -------------------------------------------------------- */

uint64_t prom_hash_values_(uint64_t seed, const char *const *values, size_t n);

/* The value behind `value`, which is number i of n. */
const char *prom_key_next_(const struct key *key, const char *value, size_t i, size_t n);

/* The key with these values in the family's table, or NULL. Without table_lock NULL means nothing if
 * `moves` was odd or has changed. */
struct key *prom_table_find_(const struct prom_family *family, const char *const *values);

/* The rest with table_lock held. A key with these clean values that is in no table and of no series
 * yet; NULL without memory. One that was removed from its table becomes a spare one, and so does one
 * that nobody has seen. */
struct key *prom_key_new_(struct prom_family *family, const char *const *values);
void prom_key_spare_(struct prom_family *family, struct key *key);
void prom_key_unused_(struct prom_family *family, struct key *key);

/* Makes room for one more entry; false without memory. */
bool prom_table_reserve_(struct prom_family *family);
void prom_table_put_(struct prom_family *family, struct key *key);
void prom_table_remove_(struct prom_family *family, struct key *key); /* if it is there */
void prom_tables_free_(struct prom_family *family);

/* ---- removed series are used again (recycle.c) --------------------------------------------- */

/* How long a thread may take over one call: what it may have found before is left as it is for so
 * long. A variable for the tests. */
extern uint64_t prom_grace_ns_;

/* Time that passes is no synchronization to the thread sanitizer, so it is told. */
#ifdef PROM_CHECK_THREADS
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static inline void grace_end_reading(void)
{
        __tsan_release(&prom_grace_ns_);
}
static inline void grace_begin_writing(void)
{
        __tsan_acquire(&prom_grace_ns_);
}
#else
static inline void grace_end_reading(void)
{
}
static inline void grace_begin_writing(void)
{
}
#endif

/* A scrape or a visit begins and ends on this thread, perhaps one within another. What is recycled in
 * between is not shown to it; a visit, which may take long, keeps keys as they are. */
struct reading {
        bool visit;
        uint64_t before; /* what was under way on this thread */
};
struct reading prom_begin_reading_(bool visit);
void prom_end_reading_(struct reading reading);
void prom_readings_after_fork_(void);

/* The number of the last recycling before what is read on this thread began; UINT64_MAX: nothing is. */
extern __thread uint64_t prom_reading_;

/* Is it live, and has been since before what is read on this thread began? */
static inline bool prom_is_shown_(const struct prom_series *series)
{
        return LOAD_ACQUIRE(&series->state) == SERIES_LIVE &&
               (likely(!LOAD(&series->recycled)) ||
                LOAD(&series->cold->recycling) <= prom_reading_);
}

/* With table_lock held: enters a series that was just removed among those to be recycled, or takes
 * one that comes back out. */
void prom_recycle_later_(struct prom_series *series);
void prom_recycle_never_(struct prom_series *series);

/* With table_lock held: one of the removed series as if just made, but removed, and without a key of its
 * own; NULL if there is none that may be taken. */
struct prom_series *prom_recycle_(struct prom_family *family);

/* With table_lock held: may this spare key become another? */
bool prom_may_reuse_(const struct key *key);

/* Perhaps prom_recycle_() has one. */
bool prom_may_recycle_(const struct prom_family *family);
