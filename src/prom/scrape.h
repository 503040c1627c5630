/* SPDX-License-Identifier: Apache-2.0 */
/* What a scrape works with. */
#pragma once

#include "prom/cells.h"
#include "prom/collect.h"
#include "prom/exemplar.h"

enum { LABELS_TEXT_MAX = PROM_LABELS_MAX * (ESCAPED_NAME_MAX + 2 * PROM_LABEL_VALUE_MAX + 16) };

struct prom_scratch {
        struct prom_family **families;
        size_t cap_families;
        size_t n_families;
        struct gathering *gathering;               /* NULL before the first scrape */
        const struct prom_render_options *options; /* of the scrape; NULL for none */
        struct counter_value values[SUM_BATCH];
        struct prom_snapshot histogram;
        struct prom_native_snapshot native;
        struct prom_quantile_snapshot summary;
        struct exemplar exemplar;
        char labels[LABELS_TEXT_MAX];
};

/* Copies the registry's families into scratch. 0 or -ENOMEM. */
int prom_list_families_(struct prom_registry *registry, struct prom_scratch *scratch);
