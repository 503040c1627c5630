/* SPDX-License-Identifier: Apache-2.0 */
/* Checking the description of a metric. */
#pragma once

#include "prom/prom.h"

/* 0 if the description is valid; -EINVAL with a message that names the metric. */
int prom_check_desc_(const struct prom_desc *desc, struct prom_error *error);
int prom_check_kind_(const struct prom_desc *desc, struct prom_error *error); /* validate_kind.c */

/* The bounds of its classic buckets, without +Inf: the default ones unless it has others. */
size_t prom_desc_n_buckets_(const struct prom_desc *desc);
const double *prom_desc_buckets_(const struct prom_desc *desc);
