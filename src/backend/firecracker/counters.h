/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's own counters, summed into totals that outlive each VM.
 *
 * A VMM writes lines of one JSON object each. Most values are increments since the last line, some
 * are absolute (Firecracker's docs/metrics.md and src/vmm/src/logger/metrics.rs). A VM contributes
 * the sum of the former and the last of the latter. A line that was torn by the VMM's death counts
 * as lost.
 *
 * Thread rule: one thread per struct; fc_counters_publish() on any thread.
 */
#pragma once

#include "backend/firecracker/metrics.h"

#include <stddef.h>
#include <stdint.h>

enum {
        FC_COUNTERS_MAX = 24,
        FC_COUNTERS_LINE_MAX = 64 * 1024, /* bytes of a line; the usual one has 5 KB */
        FC_COUNTERS_FILE_MAX =
                32 * 1024 * 1024, /* bytes of a file: three days at a line a minute */
};

/* Totals of one VM, by row of the table in counters.c. */
struct fc_counters {
        uint64_t value[FC_COUNTERS_MAX];
};

/* Adds one line, without its newline. -EINVAL, with nothing changed, if it is not a JSON object. */
int fc_counters_add_line(struct fc_counters *c, const char *line, size_t n);

/* Adds a VM's totals to the metrics; with totals of 0 it makes all their series exist. */
void fc_counters_publish(const struct fc_counters *c, struct fc_metrics *m);
