/* SPDX-License-Identifier: Apache-2.0 */
/* Reusing the memory of removed series for other label values. */
#pragma once

#include "prom/family.h"

/* With table_lock held: adds a series to the list of removed ones, or takes it out because it comes
 * back. */
void prom_recycle_later_(struct prom_series *series);
void prom_recycle_never_(struct prom_series *series);

/* With table_lock held: recycles a series. It is as if newly created, but in state SERIES_REMOVED
 * and without a key. NULL if none may be recycled. */
struct prom_series *prom_recycle_(struct prom_family *family);

/* Whether prom_recycle_() may have one. Also without table_lock; then it is an estimate. */
bool prom_may_recycle_(const struct prom_family *family);
