/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Baselines. The cells of a series count all of its lives, from creation or reappearance to
 * removal. The baseline holds the sums at the start of the current life, and the series shows the
 * difference. Cells are not cleared instead, because an update may run at any time.
 */
#pragma once

#include "prom/family.h"

/* With slab_lock held: counts as ignored, and drops, the updates of a removed series since it was
 * last settled. */
void prom_series_settle_(struct prom_series *series);

/* With slab_lock held: sets the time of creation to now, and always later than the previous one. */
void prom_series_restamp_(struct prom_series *series);

/* The growth of a sum in this life. A sum that had overflowed before stays infinite: its growth is
 * unknown, and Inf - Inf would be NaN, which a counter must not show. */
double prom_since_baseline_(double sum, uint64_t baseline);
