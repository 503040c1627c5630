/* SPDX-License-Identifier: Apache-2.0 */
/* Picks families out of a text exposition, for `vulcan run --metrics`. Pure. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

/* Their names, ended by NULL. */
extern const char *const metrics_filter_five[];

/*
 * Adds the lines of the five metrics of a VM's life (boot, active, vsock latency, cleanup,
 * workloads), or with `all` of every family vulcan_*. 0, -ENOBUFS, -ENOMEM.
 */
int metrics_filter(const char *text, size_t n, bool all, struct buf *ret);
