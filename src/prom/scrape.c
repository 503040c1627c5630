/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/scrape.h"

#include "prom/collision.h"
#include "prom/locks.h"

#include <errno.h>
#include <string.h>

int prom_list_families_(struct prom_registry *registry, struct prom_scratch *scratch)
{
        int r = -ENOMEM;
        pthread_mutex_lock(&prom_table_lock_);
        if (GROW(&scratch->families, &scratch->cap_families, registry->n_families + 1)) {
                scratch->n_families = registry->n_families;
                if (scratch->n_families)
                        memcpy(scratch->families, registry->families,
                               scratch->n_families * sizeof(scratch->families[0]));
                r = 0;
        }
        pthread_mutex_unlock(&prom_table_lock_);
        return r;
}

/* ---- the name[] filter -------------------------------------------------------------------- */

static bool is_name_of(const struct prom_family *family, const char *name)
{
        if (strcmp(name, family->name) == 0)
                return true;
        /* All escapings of a legacy name are the same. */
        const int n = family->legacy_names ? 1 : N_ESCAPINGS;
        for (int e = 0; e < n; e++)
                if (prom_is_sample_name_(name, family->open_names[e], family->ops))
                        return true;
        return false;
}

bool prom_is_wanted_(const struct prom_family *family, const struct prom_render_options *options)
{
        if (!options || options->n_names == 0)
                return true;
        for (size_t i = 0; i < options->n_names; i++)
                if (options->names[i] && is_name_of(family, options->names[i]))
                        return true;
        return false;
}
