/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of label values: those that a curried family fixes, and others. */
#pragma once

#include "prom/family.h"

/* The required values, by label of the base; NULL: any value. */
struct pattern {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};

/* The values that a curried family fixes; none for other families. */
void prom_fixed_pattern_(const struct prom_family *family, struct pattern *pattern);

/* Adds labels to the pattern. False, with the name of the label, if the base has no such label or
 * the pattern has a value for it already. */
bool prom_add_to_pattern_(const struct prom_family *base, const struct prom_label *labels,
                          struct pattern *pattern, const char **ret_wrong);
