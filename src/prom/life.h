/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a series. Both locks are held while one changes (family.h):
 *
 *     live     removed by prom_series_remove_(), or when idle with idle_remove
 *              hidden when idle
 *     hidden   live again when its value has changed, or by prom_series_revive_(); may be removed
 *     removed  live again, at 0, by prom_series_revive_(), until it is recycled (recycle.h)
 */
#pragma once

#include "prom/family.h"

/* With table_lock held: makes a removed or hidden series live. */
void prom_series_revive_(struct prom_series *series);

/* Whether the family has as many live series as it may have, or, for a new series, as many of any
 * state. Without table_lock it is an estimate. */
bool prom_family_full_(const struct prom_family *family, bool for_new);

/* Called before a scrape reads the series of a family: hides or removes idle ones. */
void prom_family_scraped_(struct prom_family *family);

/* With table_lock held: removes a series, or restarts it at 0 unless it is removed. False without
 * memory. */
bool prom_series_remove_(struct prom_series *series);
bool prom_series_reset_(struct prom_series *series);
