/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What series show: for the formats and visitors. Each function takes slab_lock itself; what it returns
 * belongs together. A series that is not shown (removed or hidden) is to be left out.
 */
#pragma once

#include "prom/cells.h"
#include "prom/family.h"

/* n <= SUM_BATCH counters that lie one after the other: see render.c. */
void prom_read_counters_(struct prom_series *series, size_t n, bool with_created,
                         struct counter_value *ret_values);

/* Of a gauge, an info (1) or a state set (its bits as an integer in *ret_bits). An info that
 * prom_info_set() showed only after `n_sets` of the family was loaded (with acquire, before the first
 * of its series is read) is not shown: the one before it may have been read already. */
bool prom_read_gauge_(const struct prom_series *series, uint64_t n_sets, double *ret_value);
bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits);

/* The rest: 1; 0 if the series is not shown; -ENOMEM, which must not pass for that.
 *
 * Classic buckets. One with native buckets alone has n_buckets 0 and only +Inf. */
int prom_read_histogram_(struct prom_series *series, struct prom_snapshot *ret_snapshot);

/* A histogram with native buckets (family->native): both at one moment. Of one without
 * classic buckets, classic holds the +Inf bucket. */
int prom_read_native_(struct prom_series *series, struct prom_snapshot *ret_classic,
                      struct prom_native_snapshot *ret_native);

int prom_read_summary_(struct prom_series *series, struct prom_quantile_snapshot *ret_snapshot);
