/* SPDX-License-Identifier: Apache-2.0 */
/* Removing series that match a pattern. */
#pragma once

#include "prom/pattern.h"

/* With table_lock held: removes the series that match, except `spared`. Returns their number, or
 * -ENOMEM. */
int prom_remove_matching_(struct prom_family *base, const struct pattern *pattern,
                          const struct prom_series *spared);
