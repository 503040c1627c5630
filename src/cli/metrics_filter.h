/* SPDX-License-Identifier: Apache-2.0 */
/* Selects families from a text exposition, for `vulcan run --metrics`. Pure. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

enum { METRICS_FILTER_MAX = 32 }; /* names; any beyond that are left out */

/* Returns the names of the backends' metrics that describe a run (metric_desc.of_run), ending with
 * NULL. The names are constants. */
void metrics_filter_names(const char *ret[METRICS_FILTER_MAX + 1]);

/*
 * Appends the lines of these families or, with `all`, of every family vulcan_*. 0, -ENOBUFS,
 * -ENOMEM.
 */
int metrics_filter(const char *text, size_t n, bool all, struct buf *ret);
