/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of removed series is used again, for other label values. */
#pragma once

#include "prom/family.h"

/* With table_lock held: enters a series that was just removed among those to be recycled, or takes
 * one that comes back out. */
void prom_recycle_later_(struct prom_series *series);
void prom_recycle_never_(struct prom_series *series);

/* With table_lock held: one of the removed series as if just made, but removed, and without a key of its
 * own; NULL if there is none that may be taken. */
struct prom_series *prom_recycle_(struct prom_family *family);

/* Perhaps prom_recycle_() has one. */
bool prom_may_recycle_(const struct prom_family *family);
