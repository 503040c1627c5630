/* SPDX-License-Identifier: Apache-2.0 */
/* The working memory of a scrape. */
#pragma once

#include "prom/cells.h"
#include "prom/samples.h"
#include "prom/exemplar.h"

enum { LABELS_TEXT_MAX = PROM_LABELS_MAX * (ESCAPED_NAME_MAX + 2 * PROM_LABEL_VALUE_MAX + 16) };

struct gauge_value {
        double v;
        bool shown; /* false: omit the series */
};

struct prom_scratch {
        struct prom_family **families;
        size_t cap_families;
        size_t n_families;
        struct gathering *gathering;               /* NULL before the first scrape */
        const struct prom_render_options *options; /* of the scrape; NULL for none */
        union {
                struct counter_value counters[SUM_BATCH];
                struct gauge_value gauges[SUM_BATCH];
        } values;
        struct prom_snapshot histogram;
        struct prom_native_snapshot native;
        struct prom_quantile_snapshot summary;
        struct exemplar exemplar;
        char labels[LABELS_TEXT_MAX];
        char *text; /* of a collector's sample */
        size_t cap_text;
};

/* Copies the list of the registry's families to the scratch. 0 or -ENOMEM. */
int prom_list_families_(struct prom_registry *registry, struct prom_scratch *scratch);

/* Whether the options ask for the family, by its name or by that of one of its samples in any
 * format. No options, and options without names, ask for all. */
bool prom_is_wanted_(const struct prom_family *family, const struct prom_render_options *options);
