/* SPDX-License-Identifier: Apache-2.0 */
/* Running the collectors of a registry for a scrape. */
#pragma once

#include "prom/scrape.h"

/* Runs the collectors that feed a wanted family. Their samples are in scratch->gathering
 * afterwards, except those of collectors that failed or did not return in time. 0 or -ENOMEM. */
int prom_gather_(struct prom_registry *registry, struct prom_scratch *scratch);
void prom_gathering_free_(struct gathering *gathering);
