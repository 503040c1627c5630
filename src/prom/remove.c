/* SPDX-License-Identifier: Apache-2.0 */
/* Removing series, and resetting all series of a registry. */
#include "prom/remove.h"

#include "prom/life.h"
#include "prom/locks.h"
#include "prom/register.h"
#include "prom/series.h"

#include <errno.h>
#include <string.h>

static int refuse(struct prom_family *family)
{
        if (family)
                COUNT(&prom_base_of_(family)->ignored, 1);
        return -EINVAL;
}

int prom_remove_values(struct prom_family *family, const char *const *values, size_t n)
{
        struct clean_values clean;
        if (!family || family->n_labels != n || LOAD(&family->collector))
                return refuse(family);
        prom_clean_values_(family, values, &clean);
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_series *series = prom_series_find_(prom_base_of_(family), clean.values);
        int r = -ENOENT;
        if (series && series->state != SERIES_REMOVED)
                r = prom_series_remove_(series) ? 0 : -ENOMEM;
        pthread_mutex_unlock(&prom_table_lock_);
        return r;
}

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

int prom_remove_matching_(struct prom_family *base, const struct pattern *pattern,
                          const struct prom_series *spared)
{
        int n = 0;
        for (size_t i = 0; n >= 0 && i < base->n_series; i++) {
                struct prom_series *series = prom_series_at_(base, i);
                const bool wanted = series->state != SERIES_REMOVED && matches(series, pattern);
                if (!wanted || (spared && series == spared))
                        continue;
                n = prom_series_remove_(series) ? n + 1 : -ENOMEM;
        }
        return n;
}

int prom_remove_partial(struct prom_family *family, const struct prom_label *labels)
{
        struct pattern pattern;
        const char *wrong;
        if (!family || LOAD(&family->collector))
                return refuse(family);
        prom_fixed_pattern_(family, &pattern);
        if (!prom_add_to_pattern_(prom_base_of_(family), labels, &pattern, &wrong))
                return refuse(family);
        pthread_mutex_lock(&prom_table_lock_);
        int n = prom_remove_matching_(prom_base_of_(family), &pattern, NULL);
        pthread_mutex_unlock(&prom_table_lock_);
        return n;
}

int prom_clear(struct prom_family *family)
{
        return prom_remove_partial(family, NULL);
}

/* With table_lock held. */
static int reset_family(struct prom_family *family)
{
        bool done = true;
        STORE(&family->overflows, 0);
        STORE(&family->ignored, 0);
        STORE(&family->failures, 0);
        for (size_t i = 0; done && i < family->n_series; i++)
                done = prom_series_reset_(prom_series_at_(family, i));
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
