/* SPDX-License-Identifier: Apache-2.0 */
/* Doubles as text, beside prom_format_number(), which is public. Pure functions. */
#pragma once

#include "prom/prom.h"

/* Bounds of buckets and quantiles as the text formats write them: "1", "1e+06". Returns the length;
 * there is no NUL. */
size_t prom_format_bound_(double v, char out[PROM_NUMBER_MAX]);

/* The same for OpenMetrics: "1.0", "1e+06". */
size_t prom_format_canonical_(double v, char out[PROM_NUMBER_MAX]);
