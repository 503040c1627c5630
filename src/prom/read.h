/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the values of series, for the formats and visitors. Each function takes slab_lock, and
 * what it returns is consistent. Removed and hidden series are not to be shown.
 */
#pragma once

#include "prom/cells.h"
#include "prom/family.h"

/* Reads n <= SUM_BATCH counters that are adjacent in a block of their family. */
void prom_read_counters_(struct prom_series *series, size_t n, bool with_created,
                         struct counter_value *ret_values);

/* Reads the bits of a state set. False if it is not shown. */
bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits);

/* Reads a histogram without native buckets. False if it is not shown. */
bool prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret_snapshot);

/* The following return 1; 0 if the series is not shown; -ENOMEM. */

/* Reads a histogram with native buckets. The snapshots, each of which may be NULL, show the same
 * observations. Without classic buckets, ret_classic has only +Inf. */
int prom_read_native_(struct prom_series *series, struct prom_snapshot *ret_classic,
                      struct prom_native_snapshot *ret_native);

int prom_read_summary_(struct prom_series *series, struct prom_quantile_snapshot *ret_snapshot);
