/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When memory can be reused that a reader without a lock may still be accessing: after a grace
 * period, and only while there is no visit.
 *
 * A look-up or an update accesses a key or a series for well under a second after it has found it.
 * So what was unlinked prom_grace_ns_ ago, a minute by default, is accessed by no such reader. (A
 * thread stopped for that long in the middle of a look-up would count for the new series or show
 * its name once; it accesses valid memory of the same family in any case.) Only a visit may take
 * longer, as it calls the program; nothing is reused during one.
 */
#pragma once

#include "prom/family.h"

/* The grace period. Tests change it. */
extern uint64_t prom_grace_ns_;

/* The thread sanitizer does not accept elapsed time as synchronization, so these calls tell it. */
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

/* Brackets a scrape or a visit by this thread; they may nest. Series recycled in between are not
 * shown to it. During a visit, keys stay unchanged. */
struct reading {
        bool visit;
        uint64_t before; /* prom_reading_ of the enclosing scrape or visit */
};
struct reading prom_begin_reading_(bool visit);
void prom_end_reading_(struct reading reading);
void prom_readings_after_fork_(void);

/* The number of the last recycling before this thread's scrape or visit began; UINT64_MAX outside
 * one. */
extern __thread uint64_t prom_reading_;

/* Whether the series is live and was not recycled since this thread's scrape or visit began.
 * Acquire pairs with the release that makes a series live: its key and its cleared values are
 * visible then. */
static inline bool prom_is_shown_(const struct prom_series *series)
{
        return LOAD_ACQUIRE(&series->state) == SERIES_LIVE &&
               (likely(!LOAD(&series->recycled)) ||
                LOAD(&series->cold->recycling) <= prom_reading_);
}

/* With table_lock held: whether memory that was unlinked at `since_ns` (prom_now_ns()) may be
 * reused. */
bool prom_grace_is_over_(uint64_t since_ns);

/* With table_lock held: numbers a recycling. */
uint64_t prom_count_recycling_(void);
