/* SPDX-License-Identifier: Apache-2.0 */
/* Running the collectors of a registry for a scrape. */
#pragma once

#include "prom/scrape.h"

/* Runs the collectors, except those without a wanted family; their samples are in
 * scratch->gathering afterwards. Without its samples: a collector that fails or does not return.
 * 0 or -ENOMEM. */
int prom_gather_(struct prom_registry *registry, struct prom_scratch *scratch);
void prom_gathering_free_(struct gathering *gathering);
