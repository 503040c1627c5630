/* SPDX-License-Identifier: Apache-2.0 */
/* Making the series of a family, and looking them up by label values. */
#pragma once

#include "prom/family.h"
#include "prom/table.h"

/* With table_lock held: makes a series of this key, which is in no table yet. NULL without memory or
 * cells. */
struct prom_series *prom_series_make_(struct prom_family *family, struct key *key);

/* With table_lock held: the series with these clean values, live, or NULL. */
struct prom_series *prom_series_find_(const struct prom_family *family, const char *const *values);

/* With table_lock held: the same, made or shown again if need be, and entered in the table of the
 * curried family too. NULL if the family is full, and without memory or cells. */
struct prom_series *prom_series_obtain_(struct prom_family *family, const char *const *values);

/* The values, or those of a curried family, made clean and completed to those of the base. */
struct clean_values {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};
void prom_clean_values_(const struct prom_family *family, const char *const *values,
                        struct clean_values *ret);
