/* SPDX-License-Identifier: Apache-2.0 */
/* Creating the series of a family, and finding them by label values. */
#pragma once

#include "prom/family.h"
#include "prom/table.h"

/* With table_lock held: creates a series for this key, which is in no table yet. NULL without
 * memory or cells. */
struct prom_series *prom_series_make_(struct prom_family *family, struct key *key);

/* With table_lock held: the series with these clean values, in any state, or NULL. */
struct prom_series *prom_series_find_(const struct prom_family *family, const char *const *values);

/* With table_lock held: the live series with these clean values. Creates it or brings it back if
 * necessary, and enters it in the table of the curried family too. NULL if the family is full, or
 * without memory or cells. */
struct prom_series *prom_series_obtain_(struct prom_family *family, const char *const *values);

/* Label values made valid (prom_clean_value_()), those of a curried family completed to those of
 * its base. */
struct clean_values {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};
void prom_clean_values_(const struct prom_family *family, const char *const *values,
                        struct clean_values *ret);
