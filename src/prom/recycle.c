/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series removed last, up to PROM_KEPT_FACTOR times max_series of a family, can come back when
 * their values are looked up again. Older ones are *retired*: their keys are removed from the
 * tables, so no new look-up finds them. After the grace period (grace.h) a retired series may be
 * recycled, because nothing uses it:
 *
 * - no handle, by the rule in metrics.h;
 * - no look-up that was comparing its key when it was retired, and no update that follows such a
 *   look-up;
 * - no scrape that was copying its text, having found the series live.
 *
 * A visitor may keep labels for longer, so nothing is recycled during a visit. A scrape or visit
 * that began before a series was recycled does not show it (prom_is_shown_()).
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

/* Removes the key from all tables. The series keeps pointing to it, because a visitor may be
 * reading it. */
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
        /* A family that is nearly full keeps none for a return. */
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

/* Drops the counts of its lives, and counts the updates since its removal as ignored. */
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
