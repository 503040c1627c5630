/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What series show: for the formats and visitors. Each function takes slab_lock itself; what it returns
 * belongs together. A series that is not shown (removed or hidden) is to be left out.
 */
#pragma once

#include "prom/cells.h"
#include "prom/family.h"

/* n <= SUM_BATCH counters that lie one after the other in a block of their family. */
void prom_read_counters_(struct prom_series *series, size_t n, bool with_created,
                         struct counter_value *ret_values);

/* The states of a state set, as bits. False if it is not shown. */
bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits);

/* Classic buckets, of a histogram without native ones. False if it is not shown. */
bool prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret_snapshot);

/* The rest: 1; 0 if the series is not shown; -ENOMEM. */

/* A histogram with native buckets (family->native): both at one moment. Of one without
 * classic buckets, classic holds the +Inf bucket. */
int prom_read_native_(struct prom_series *series, struct prom_snapshot *ret_classic,
                      struct prom_native_snapshot *ret_native);

int prom_read_summary_(struct prom_series *series, struct prom_quantile_snapshot *ret_snapshot);
