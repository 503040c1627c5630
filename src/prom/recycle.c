/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of removed series is used again, for other label values.
 *
 * The last removed ones of a family, PROM_KEPT_FACTOR times max_series, stay as they are, to come back
 * when their values are looked up again. Those before are *retired*: their keys are taken out of the
 * tables, so nobody comes upon them any more. A grace later, what a thread may have found before is
 * not in use any more:
 *
 * - a handle of the series, by contract (prom.h);
 * - a key that a look-up without a lock is comparing, and the series it has from there;
 * - a text that a scrape is copying, which has found the series live.
 *
 * The last two are a matter of microseconds. (Should a thread be stopped right there for as long as the
 * grace, it counts in the series that has taken the place, or shows its name once: it is memory of a
 * series of the family, or a key of it, at any time.) Only a visitor has labels for as long as it likes,
 * so nothing is recycled while there is a visit. Scrapes and visits that began before a series was
 * recycled do not show it.
 */
#include "prom/recycle.h"

#include "prom/baseline.h"
#include "prom/clock.h"
#include "prom/grace.h"
#include "prom/layout.h"
#include "prom/table.h"

#include <string.h>

/* ---- the removed ones, with table_lock held ------------------------------------------------ */

static void forget_in_curried(struct prom_family *curried, struct prom_series *series)
{
        const struct prom_family *base = series->family;
        const char *own[PROM_LABELS_MAX], *value = series->key->values;
        for (unsigned i = 0, next = 0; i < base->n_labels; i++) {
                if (!curried->fixed[i])
                        own[next++] = value;
                else if (strcmp(curried->fixed[i], value) != 0)
                        return;
                value = prom_key_next_(series->key, value, i, base->n_labels);
        }
        if (curried->n_labels == 0) {
                STORE(&curried->only, NULL);
                return;
        }
        struct key *key = prom_table_find_(curried, own);
        if (!key)
                return;
        prom_table_remove_(curried, key);
        prom_key_spare_(curried, key);
}

/* The series keeps its key, be it that of another one day: a visitor may be reading it. */
static void forget_key(struct prom_series *series)
{
        struct prom_family *family = series->family;
        for (struct prom_family *curried = family->curried; curried; curried = curried->next)
                forget_in_curried(curried, series);
        prom_table_remove_(family, series->key);
        prom_key_spare_(family, series->key);
}

static void set_recycle_from(struct prom_family *family)
{
        const struct prom_series *first = family->retired_first;
        STORE(&family->recycle_from_ns, first ? first->cold->retired_ns + prom_grace_ns_ : 0);
}

void prom_recycle_never_(struct prom_series *series)
{
        struct prom_family *family = series->family;
        struct series_cold *cold = series->cold;
        if (!cold->removed)
                return;
        if (cold->removed_before)
                cold->removed_before->cold->removed_next = cold->removed_next;
        else
                family->removed_first = cold->removed_next;
        if (cold->removed_next)
                cold->removed_next->cold->removed_before = cold->removed_before;
        else
                family->removed_last = cold->removed_before;
        cold->removed = false;
        family->n_removed--;
}

static void retire(struct prom_series *series)
{
        struct prom_family *family = series->family;
        prom_recycle_never_(series);
        forget_key(series);
        series->cold->retired_ns = prom_now_ns();
        series->cold->removed_next = NULL;
        if (family->retired_first)
                family->retired_last->cold->removed_next = series;
        else
                family->retired_first = series;
        family->retired_last = series;
        set_recycle_from(family);
}

void prom_recycle_later_(struct prom_series *series)
{
        struct prom_family *family = series->family;
        struct series_cold *cold = series->cold;
        if (series == family->overflow)
                return;
        cold->removed = true;
        cold->removed_next = NULL;
        cold->removed_before = family->removed_last;
        if (family->removed_last)
                family->removed_last->cold->removed_next = series;
        else
                family->removed_first = series;
        family->removed_last = series;
        family->n_removed++;
        /* Of a family that is nearly full none is kept. */
        if (family->n_removed > family->max_series * PROM_KEPT_FACTOR ||
            family->n_series > family->max_series * (PROM_TOMBSTONES_FACTOR - 1))
                retire(family->removed_first);
}

bool prom_may_recycle_(const struct prom_family *family)
{
        const uint64_t from_ns = LOAD(&family->recycle_from_ns);
        return from_ns && prom_now_ns() >= from_ns;
}

/* ---- recycling, with table_lock held ------------------------------------------------------- */

/* What was counted in it, and in vain since, goes. */
static void clear(struct prom_series *series)
{
        const struct prom_family *family = series->family;
        pthread_mutex_lock(&prom_slab_lock_);
        prom_series_settle_(series);
        if (family->n_sums) {
                prom_cells_clear_(series->cell, family->n_cells);
                memset(series->cold->baseline, 0, family->n_sums * sizeof(uint64_t));
        }
        pthread_mutex_unlock(&prom_slab_lock_);
}

struct prom_series *prom_recycle_(struct prom_family *family)
{
        struct prom_series *series = family->retired_first;
        if (!series || !prom_grace_is_over_(series->cold->retired_ns))
                return NULL;
        grace_begin_writing();
        family->retired_first = series->cold->removed_next;
        set_recycle_from(family);
        clear(series);
        prom_layouts_stale_(series);
        STORE(&series->cold->recycling, prom_count_recycling_());
        STORE(&series->recycled, true);
        return series;
}
