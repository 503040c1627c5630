/* SPDX-License-Identifier: Apache-2.0 */
/* Label values that a series has to have: those a curried family is fixed to, and more. */
#pragma once

#include "prom/family.h"

/* The labels asked for, by index of a label of the base; NULL: any value. */
struct pattern {
        const char *values[PROM_LABELS_MAX];
        char text[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
};

/* The values that the family is fixed to: of one that is not curried, none. */
void prom_fixed_pattern_(const struct prom_family *family, struct pattern *pattern);

/* Adds the labels to those set. False if the base has no such label or it is set already, with its name. */
bool prom_add_to_pattern_(const struct prom_family *base, const struct prom_label *labels,
                          struct pattern *pattern, const char **ret_wrong);
