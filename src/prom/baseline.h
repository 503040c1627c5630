/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums of a series count all of its lives. What they were when the last one began is its baseline,
 * and it shows what they grew by since.
 */
#pragma once

#include "prom/family.h"

/* With slab_lock held: counts as ignored, and drops, what a removed series was updated by since it was
 * last looked at. */
void prom_series_settle_(struct prom_series *series);

/* With slab_lock held: the series begins anew now. No two times of its creation are the same. */
void prom_series_restamp_(struct prom_series *series);

/* What a sum grew by in this life. One that overflowed before stays infinite: no cell holds by how much
 * it has grown since, and Inf - Inf would be NaN, which no counter may show. */
double prom_since_baseline_(double sum, uint64_t baseline);
