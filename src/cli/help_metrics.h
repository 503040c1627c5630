/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference of all metrics, docs/metrics.md, made from the tables that declare them and from
 * one table of advice. `vulcan help metrics` prints it; a test compares it with the file.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Adds the page, Markdown. -ENOENT names a metric without advice, or advice without a metric. */
int help_metrics_page(struct buf *ret, struct err *err);
