/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference of all metrics, docs/metrics.md, made from the tables that declare them
 * (metric/metric.h). `vulcan help metrics` prints it; a test compares it with the file.
 */
#pragma once

#include "base/buf.h"
#include "metric/metric.h"

#include <stdbool.h>

struct help_metrics_table {
        const char *title; /* of its section */
        const struct metric_desc *descs;
        size_t n;
};

/* The tables of all modules and backends, in the order of the page. False past the last. */
bool help_metrics_table_at(size_t i, struct help_metrics_table *ret);

/* Appends the page, in Markdown. */
void help_metrics_page(struct buf *ret);
