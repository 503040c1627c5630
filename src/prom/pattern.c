/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/pattern.h"

#include "prom/utf8.h"

#include <string.h>

void prom_fixed_pattern_(const struct prom_family *family, struct pattern *pattern)
{
        for (unsigned i = 0; i < PROM_LABELS_MAX; i++)
                pattern->values[i] = family->base ? family->fixed[i] : NULL;
}

bool prom_add_to_pattern_(const struct prom_family *base, const struct prom_label *labels,
                          struct pattern *pattern, const char **ret_wrong)
{
        for (; labels && labels->name; labels++) {
                unsigned i = 0;
                while (i < base->n_labels && strcmp(base->labels[i], labels->name) != 0)
                        i++;
                *ret_wrong = labels->name;
                if (i == base->n_labels || pattern->values[i])
                        return false;
                prom_clean_value_(labels->value, pattern->text[i]);
                pattern->values[i] = pattern->text[i];
        }
        return true;
}
