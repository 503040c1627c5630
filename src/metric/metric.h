/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The declaration of a metric. Each module declares its metrics in one const table, indexed by an
 * enum in its metrics.h:
 *
 *     const struct metric_desc engine_snapshot_descs[ENGINE_SNAPSHOT_COUNT] = {
 *             [ENGINE_QUEUE_DEPTH] = {
 *                     .kind = PROM_GAUGE,
 *                     .name = "vulcan_queue_depth",
 *                     .help = "Workloads waiting for a VM or for memory.",
 *                     .advice = "If it stays above 0, raise `--max-vms` ...",
 *             },
 *     };
 *
 * The module registers its table with the functions below; cli/help_metrics.c makes docs/metrics.md
 * from the same table. A unit test fails if a row lacks its help or advice.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "prom/prom.h"

#include <stdbool.h>
#include <stddef.h>

struct metric_desc {
        enum prom_kind kind;
        const char *name;
        const char *help;          /* what it measures, in one sentence; part of every scrape */
        const char *advice;        /* Markdown for docs/metrics.md: normal values, and what to do
                                      about others */
        const char *const *labels; /* PROM_LABELS(...); NULL for none */
        const double *buckets;     /* both set by METRIC_BUCKETS(); histograms only */
        size_t n_buckets;
        bool of_run; /* `vulcan run` prints it with --metrics and pushes it with --push */
};

/* Sets the buckets to those of an array, which several metrics can share. */
#define METRIC_BUCKETS(array) .buckets = (array), .n_buckets = sizeof(array) / sizeof((array)[0])

/* Registers the n metrics, or finds them if the registry already has them (prom_obtain_all()).
 * Returns -EEXIST if one exists with another declaration, -ENOMEM. On failure, ret_families is
 * untouched. */
int metric_obtain_all(struct prom_registry *registry, const struct metric_desc *descs, size_t n,
                      struct prom_family **ret_families, struct err *err);

/* Registers the n metrics and calls `collect` at each scrape for their values, until
 * prom_collector_remove(). Errors as above, and -EEXIST if the registry already has one. */
int metric_register_collector(struct prom_registry *registry, const struct metric_desc *descs,
                              size_t n, prom_collect_fn *collect, void *data,
                              struct prom_collector **ret_collector, struct err *err);
