/* SPDX-License-Identifier: Apache-2.0 */
/* Series go and come back: removal, expiry of idle ones, and curried families. */
#include "prom/keys.h"
#include "prom/native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct prom_family *base_of(struct prom_family *family)
{
        return family->base ? family->base : family;
}

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
        if (prom_has_word_(series->family))
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
        const bool sparse = prom_is_sparse_(series->family);
        const unsigned words = sparse ? 0 : prom_family_words_(series->family);
        uint64_t *baseline = series->cold->baseline;
        if (!baseline && words) {
                baseline = prom_arena_get_(&series->family->arena, words * sizeof(*baseline));
                if (!baseline)
                        return false;
        }
        series->cold->baseline = baseline;
        if (sparse)
                prom_native_reset_(series);
        else if (words)
                prom_series_sums_(series, baseline);
        set_state(series, SERIES_REMOVED);
        prom_recycle_later_(series);
        return true;
}

/* With table_lock held. False without memory. */
static bool remove_series(struct prom_series *series)
{
        pthread_mutex_lock(&prom_slab_lock_);
        const bool done = remove_locked(series);
        pthread_mutex_unlock(&prom_slab_lock_);
        return done;
}

static int refuse(struct prom_family *family)
{
        if (family)
                COUNT(&base_of(family)->ignored, 1);
        return -EINVAL;
}

int prom_remove_values(struct prom_family *family, const char *const *values, size_t n)
{
        struct clean_values clean;
        if (!family || family->n_labels != n || LOAD(&family->collector))
                return refuse(family);
        prom_clean_values_(family, values, &clean);
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_series *series = prom_series_find_(base_of(family), clean.values);
        int r = -ENOENT;
        if (series && series->state != SERIES_REMOVED)
                r = remove_series(series) ? 0 : -ENOMEM;
        pthread_mutex_unlock(&prom_table_lock_);
        return r;
}

/* The labels asked for, by index of a label of the base; NULL: any value. */
struct pattern {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};

static bool matches(const struct prom_series *series, const struct pattern *pattern)
{
        const char *value = series->key->values;
        for (unsigned i = 0; i < series->family->n_labels; i++) {
                if (pattern->values[i] && strcmp(pattern->values[i], value) != 0)
                        return false;
                value = prom_key_next_(series->key, value, i, series->family->n_labels);
        }
        return true;
}

/* With table_lock held. Their number, or -ENOMEM. */
static int remove_matching(struct prom_family *base, const struct pattern *pattern,
                           const struct prom_series *spared)
{
        int n = 0;
        for (size_t i = 0; n >= 0 && i < base->n_series; i++) {
                struct prom_series *series = prom_series_at_(base, i);
                const bool wanted = series->state != SERIES_REMOVED && matches(series, pattern);
                if (!wanted || (spared && series == spared))
                        continue;
                n = remove_series(series) ? n + 1 : -ENOMEM;
        }
        return n;
}

static void fixed_pattern(const struct prom_family *family, struct pattern *pattern)
{
        for (unsigned i = 0; i < PROM_LABELS_MAX; i++)
                pattern->values[i] = family->base ? family->fixed[i] : NULL;
}

/* Adds the labels to those set; false if the base has no such label or it is set already. */
static bool add_to_pattern(const struct prom_family *base, const struct prom_label *labels,
                           struct pattern *pattern, const char **ret_wrong)
{
        for (; labels && labels->name; labels++) {
                unsigned i = 0;
                while (i < base->n_labels && strcmp(base->labels[i], labels->name) != 0)
                        i++;
                *ret_wrong = labels->name;
                if (i == base->n_labels || pattern->values[i])
                        return false;
                prom_clean_value_(labels->value, pattern->text[i]);
                pattern->values[i] = pattern->text[i];
        }
        return true;
}

int prom_remove_partial(struct prom_family *family, const struct prom_label *labels)
{
        struct pattern pattern;
        const char *wrong;
        if (!family || LOAD(&family->collector))
                return refuse(family);
        fixed_pattern(family, &pattern);
        if (!add_to_pattern(base_of(family), labels, &pattern, &wrong))
                return refuse(family);
        pthread_mutex_lock(&prom_table_lock_);
        int n = remove_matching(base_of(family), &pattern, NULL);
        pthread_mutex_unlock(&prom_table_lock_);
        return n;
}

int prom_clear(struct prom_family *family)
{
        return prom_remove_partial(family, NULL);
}

/* With both locks held. False without memory. */
static bool reset_locked(struct prom_series *series)
{
        if (series->state == SERIES_REMOVED || series->family->kind == PROM_INFO)
                return true;
        if (!remove_locked(series))
                return false;
        prom_recycle_never_(series);
        start_again(series);
        series->cold->idle_since_ns = 0;
        set_state(series, SERIES_LIVE);
        return true;
}

/* With table_lock held. */
static int reset_family(struct prom_family *family)
{
        bool done = true;
        STORE(&family->overflows, 0);
        STORE(&family->ignored, 0);
        STORE(&family->failures, 0);
        for (size_t i = 0; done && i < family->n_series; i++) {
                pthread_mutex_lock(&prom_slab_lock_);
                done = reset_locked(prom_series_at_(family, i));
                pthread_mutex_unlock(&prom_slab_lock_);
        }
        return done ? 0 : -ENOMEM;
}

int prom_registry_reset(struct prom_registry *registry)
{
        int r = 0;
        pthread_mutex_lock(&prom_table_lock_);
        for (size_t i = 0; r == 0 && i < registry->n_families; i++)
                r = reset_family(registry->families[i]);
        pthread_mutex_unlock(&prom_table_lock_);
        return r;
}

/* In one step for all who set it, so that one is left. The others go first, and a scrape that is under
 * way, which may have read one of them, leaves the new one out: it finds none, rather than two that
 * contradict each other. See prom_read_gauge_(). The series of the overflow alone is always shown. */
struct prom_info *prom_info_set_values(struct prom_family *family, const char *const *values,
                                       size_t n)
{
        struct clean_values clean;
        struct pattern pattern;
        if (!family || family->kind != PROM_INFO || family->n_labels != n ||
            LOAD(&family->collector))
                return prom_info_with_values(family, values, n); /* counts it */
        struct prom_family *base = base_of(family);
        prom_clean_values_(family, values, &clean);
        fixed_pattern(family, &pattern);
        pthread_mutex_lock(&prom_table_lock_);
        base->setting = base->n_sets + 1;
        (void)remove_matching(base, &pattern, prom_series_find_(base, clean.values));
        struct prom_series *series = prom_series_obtain_(family, clean.values);
        STORE_RELEASE(&base->n_sets, base->setting);
        base->setting = 0;
        pthread_mutex_unlock(&prom_table_lock_);
        return series ? (struct prom_info *)series : prom_info_with_values(family, values, n);
}

/* ---- curried families --------------------------------------------------------------------- */

static bool same_fixed(const struct prom_family *curried, const struct pattern *pattern)
{
        for (unsigned i = 0; i < PROM_LABELS_MAX; i++) {
                const char *a = curried->fixed[i], *b = pattern->values[i];
                if (!a != !b || (a && strcmp(a, b) != 0))
                        return false;
        }
        return true;
}

/* The one with the same labels set, or NULL; and how many there are. */
static struct prom_family *curried_find(const struct prom_family *base,
                                        const struct pattern *pattern, size_t *ret_n)
{
        *ret_n = 0;
        for (struct prom_family *c = base->curried; c; c = c->next) {
                if (same_fixed(c, pattern))
                        return c;
                ++*ret_n;
        }
        return NULL;
}

static struct prom_family *curried_new(struct prom_family *base, const struct pattern *pattern)
{
        struct prom_family *curried = calloc(1, sizeof(*curried));
        const char **fixed = prom_arena_get_(&base->arena, sizeof(*fixed) * PROM_LABELS_MAX);
        if (!curried || !fixed) {
                free(curried);
                return NULL;
        }
        curried->kind = base->kind;
        curried->id = prom_family_id_();
        curried->registry = base->registry;
        curried->base = base;
        curried->name = base->name;
        curried->fixed = fixed;
        for (unsigned i = 0; i < base->n_labels; i++) {
                if (!pattern->values[i]) {
                        curried->n_labels++;
                        continue;
                }
                char *copy = prom_arena_get_(&base->arena, strlen(pattern->values[i]) + 1);
                if (!copy) {
                        free(curried);
                        return NULL;
                }
                fixed[i] = strcpy(copy, pattern->values[i]);
        }
        curried->next = base->curried;
        base->curried = curried;
        return curried;
}

int prom_curry(struct prom_family *family, const struct prom_label *labels,
               struct prom_family **ret_family, struct prom_error *error)
{
        struct pattern pattern;
        const char *wrong;
        if (!family || LOAD(&family->collector))
                return prom_fail_(error, EINVAL, "metric %s: a collector's cannot be curried",
                                  family ? family->name : "(none)");
        struct prom_family *base = base_of(family);
        fixed_pattern(family, &pattern);
        if (!add_to_pattern(base, labels, &pattern, &wrong))
                return prom_fail_(error, EINVAL,
                                  "metric %s: has no label %.100s left that could be set",
                                  base->name, wrong);
        size_t n;
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_family *curried = curried_find(base, &pattern, &n);
        if (!curried && n < PROM_CURRIED_MAX)
                curried = curried_new(base, &pattern);
        pthread_mutex_unlock(&prom_table_lock_);
        if (!curried && n == PROM_CURRIED_MAX)
                return prom_fail_(error, ENOSPC, "metric %s: has %d curried families already",
                                  base->name, PROM_CURRIED_MAX);
        if (!curried)
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", base->name);
        *ret_family = curried;
        return 0;
}

/* ---- expiry ------------------------------------------------------------------------------- */

/* With slab_lock held: something that changes when the value does. */
static uint64_t digest(struct prom_series *series)
{
        uint64_t words[SERIES_CELLS_MAX] = {0}, hash = 0;
        if (prom_is_sparse_(series->family)) {
                const struct native_sums *sums = prom_native_sum_(series);
                return sums ? sums->count ^ bits_of(sums->sum) : 0;
        }
        const unsigned n = prom_family_words_(series->family);
        if (n == 0)
                return prom_has_word_(series->family) ? LOAD(series->word) : 1;
        prom_series_sums_(series, words);
        for (unsigned i = 0; i < n; i++)
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
                (void)remove_locked(series); /* without memory at the next scrape */
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
