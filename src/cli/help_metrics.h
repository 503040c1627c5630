/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference of all metrics, docs/metrics.md, made from the tables that declare them
 * (metric/metric.h). `vulcan help metrics` prints it; a test compares it with the file.
 */
#pragma once

#include "base/buf.h"
#include "metric/metric.h"

struct help_metrics_table {
        const char *title; /* of its section */
        const struct metric_desc *descs;
        size_t n;
};

/* The tables of all modules. */
extern const struct help_metrics_table help_metrics_tables[];
extern const size_t help_metrics_n_tables;

/* Appends the page, in Markdown. */
void help_metrics_page(struct buf *ret);
