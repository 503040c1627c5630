/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/scrape.h"

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
