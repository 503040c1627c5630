/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When memory that readers without a lock may have found can be used again: a grace later, and only while
 * there is no visit.
 */
#pragma once

#include "prom/family.h"

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

/* With table_lock held: may what was unlinked at `since_ns` (prom_now_ns()) be written now? */
bool prom_grace_is_over_(uint64_t since_ns);

/* With table_lock held: the number of a recycling that is done now. */
uint64_t prom_count_recycling_(void);
