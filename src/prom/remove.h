/* SPDX-License-Identifier: Apache-2.0 */
/* Removing the series that match a pattern. */
#pragma once

#include "prom/pattern.h"

/* With table_lock held: removes those that match, except `spared`. Their number, or -ENOMEM. */
int prom_remove_matching_(struct prom_family *base, const struct pattern *pattern,
                          const struct prom_series *spared);
