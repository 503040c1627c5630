/* SPDX-License-Identifier: Apache-2.0 */
/* What a description of a metric has to be. */
#pragma once

#include "prom/prom.h"

/* -EINVAL with a message naming the metric, unless the description can be registered. */
int prom_check_desc_(const struct prom_desc *desc, struct prom_error *error);
int prom_check_kind_(const struct prom_desc *desc, struct prom_error *error); /* validate_kind.c */
size_t prom_desc_n_buckets_(const struct prom_desc *desc);
const double *prom_desc_buckets_(const struct prom_desc *desc);
