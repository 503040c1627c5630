/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's own counters as cumulative totals that outlive each VM.
 *
 * A VMM writes one JSON object a line: most values are what was added since its last line, some are
 * absolute (docs/metrics.md of Firecracker; src/vmm/src/logger/metrics.rs). The sum of the first
 * and the last of the second over a VM's lines are what this VM adds to the totals. A line can be
 * torn when the VMM dies: it is counted as lost and skipped.
 */
#pragma once

#include "backend/firecracker/metrics.h"

#include <stddef.h>
#include <stdint.h>

enum {
        FC_COUNTERS_MAX = 24,
        FC_COUNTERS_LINE_MAX = 64 * 1024,        /* a line has 5 KB */
        FC_COUNTERS_FILE_MAX = 32 * 1024 * 1024, /* a line a minute: three days */
};

/* Totals of one VM, by row of the table in counters.c. */
struct fc_counters {
        uint64_t value[FC_COUNTERS_MAX];
};

/* Takes in one line (without its newline). -EINVAL, with nothing changed, if it is no JSON object.
 */
int fc_counters_add_line(struct fc_counters *c, const char *line, size_t n);

/* Adds a VM's totals to the metrics; with totals of 0 it makes all their series exist. */
void fc_counters_publish(const struct fc_counters *c, struct fc_metrics *m);
