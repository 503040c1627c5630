/* SPDX-License-Identifier: Apache-2.0 */
/* Series are removed, expire, and come back. */
#pragma once

#include "prom/family.h"

/* With table_lock held: shows a removed or hidden series again. (life.c) */
void prom_series_revive_(struct prom_series *series);

/* Has it as many live series, or, for a new one, as many in all, as it may? An estimate to those
 * without table_lock. */
bool prom_family_full_(const struct prom_family *family, bool for_new);

/* Before the series of a family are read in a scrape: hides what is idle for too long. */
void prom_family_scraped_(struct prom_family *family);

/* With table_lock held: removes a series, or makes it begin anew at 0 unless it is removed. False without
 * memory. */
bool prom_series_remove_(struct prom_series *series);
bool prom_series_reset_(struct prom_series *series);
