/* SPDX-License-Identifier: Apache-2.0 */
/* Selects families from a text exposition, for `vulcan run --metrics`. Pure. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

/* Names of the five metrics of a VM: boot, active, vsock latency, cleanup, workloads. Ends with
 * NULL. */
extern const char *const metrics_filter_five[];

/*
 * Appends the lines of these five families or, with `all`, of every family vulcan_*. 0, -ENOBUFS,
 * -ENOMEM.
 */
int metrics_filter(const char *text, size_t n, bool all, struct buf *ret);
