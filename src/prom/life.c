/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/life.h"

#include "prom/baseline.h"
#include "prom/exemplar.h"
#include "prom/recycle.h"

bool prom_family_full_(const struct prom_family *family, bool for_new)
{
        const struct prom_series *overflow = LOAD_ACQUIRE(&family->overflow);
        size_t live = LOAD(&family->n_live);
        if (overflow && LOAD(&overflow->state) == SERIES_LIVE && live > 0)
                live--;
        return live >= family->max_series ||
               (for_new && LOAD(&family->n_series) >= family->max_series * PROM_TOMBSTONES_FACTOR &&
                !prom_may_recycle_(family));
}

/* With both locks held. */
static void set_state(struct prom_series *series, enum series_state state)
{
        size_t *live = &series->family->n_live;
        if (series->state == SERIES_LIVE)
                STORE(live, *live - 1);
        if (state == SERIES_LIVE)
                STORE(live, *live + 1);
        STORE_RELEASE(&series->state, (uint8_t)state);
}

/* ---- coming back -------------------------------------------------------------------------- */

/* With both locks held. */
static void start_again(struct prom_series *series)
{
        prom_series_settle_(series);
        prom_forget_exemplars_(series);
        series->has_baseline = series->cold->baseline != NULL;
        prom_series_restamp_(series);
        if (prom_kind_has_(series->family->ops, KIND_WORD))
                STORE(series->word, 0);
}

void prom_series_revive_(struct prom_series *series)
{
        prom_recycle_never_(series);
        pthread_mutex_lock(&prom_slab_lock_);
        if (series->state == SERIES_REMOVED)
                start_again(series);
        series->cold->idle_since_ns = 0;
        STORE(&series->cold->set_number, series->family->setting);
        if (series->state != SERIES_LIVE)
                set_state(series, SERIES_LIVE);
        pthread_mutex_unlock(&prom_slab_lock_);
}

/* ---- removal ------------------------------------------------------------------------------ */

/* With both locks held. False without memory. */
static bool remove_locked(struct prom_series *series)
{
        struct prom_family *family = series->family;
        uint64_t **baseline = &series->cold->baseline;
        if (family->n_sums) {
                if (!*baseline)
                        *baseline = prom_arena_get_(&family->arena,
                                                    family->n_sums * sizeof(**baseline));
                if (!*baseline)
                        return false;
                family->ops->sums(series, *baseline);
        }
        if (family->ops->reset)
                family->ops->reset(series);
        set_state(series, SERIES_REMOVED);
        prom_recycle_later_(series);
        return true;
}

bool prom_series_remove_(struct prom_series *series)
{
        pthread_mutex_lock(&prom_slab_lock_);
        const bool done = remove_locked(series);
        pthread_mutex_unlock(&prom_slab_lock_);
        return done;
}

/* With both locks held: removes and revives in one step. False without memory. */
static bool reset_locked(struct prom_series *series)
{
        if (series->state == SERIES_REMOVED || !prom_kind_has_(series->family->ops, KIND_CHANGES))
                return true;
        if (!remove_locked(series))
                return false;
        prom_recycle_never_(series);
        start_again(series);
        series->cold->idle_since_ns = 0;
        set_state(series, SERIES_LIVE);
        return true;
}

bool prom_series_reset_(struct prom_series *series)
{
        pthread_mutex_lock(&prom_slab_lock_);
        const bool done = reset_locked(series);
        pthread_mutex_unlock(&prom_slab_lock_);
        return done;
}

/* ---- expiry ------------------------------------------------------------------------------- */

/* With slab_lock held: see kind_ops.digest. */
static uint64_t digest(struct prom_series *series)
{
        const struct prom_family *family = series->family;
        uint64_t words[SERIES_CELLS_MAX] = {0}, hash = 0;
        if (family->ops->digest)
                return family->ops->digest(series);
        family->ops->sums(series, words);
        for (unsigned i = 0; i < family->n_sums; i++)
                hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
        return hash;
}

/* With both locks held. */
static void expire_or_show(struct prom_series *series, uint64_t now_ns, uint64_t timeout_ns)
{
        struct series_cold *cold = series->cold;
        uint64_t value = digest(series);
        if (value != cold->idle_value || cold->idle_since_ns == 0) {
                cold->idle_value = value;
                cold->idle_since_ns = now_ns;
        }
        const bool idle = now_ns - cold->idle_since_ns >= timeout_ns;
        if (series->state == SERIES_LIVE && idle && series->family->idle_remove)
                (void)remove_locked(series); /* without memory, the next scrape tries again */
        else if (series->state == SERIES_LIVE && idle)
                set_state(series, SERIES_HIDDEN);
        else if (series->state == SERIES_HIDDEN && !idle &&
                 !prom_family_full_(series->family, false))
                set_state(series, SERIES_LIVE);
}

void prom_family_scraped_(struct prom_family *family)
{
        if (likely(family->idle_timeout_ns == 0))
                return;
        const uint64_t now_ns = prom_now_ns();
        const size_t n = LOAD_ACQUIRE(&family->n_series);
        for (size_t i = 0; i < n;) {
                pthread_mutex_lock(&prom_table_lock_);
                pthread_mutex_lock(&prom_slab_lock_);
                for (size_t end = i + SUM_BATCH; i < n && i < end; i++) {
                        struct prom_series *series = prom_series_at_(family, i);
                        if (series->state != SERIES_REMOVED)
                                expire_or_show(series, now_ns, family->idle_timeout_ns);
                }
                pthread_mutex_unlock(&prom_slab_lock_);
                pthread_mutex_unlock(&prom_table_lock_);
        }
}
