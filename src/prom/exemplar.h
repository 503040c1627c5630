/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars that counters and histograms keep. */
#pragma once

#include "prom/family.h"

/* Names and values of at most PROM_EXEMPLAR_LABELS_MAX labels, each with its NUL. */
enum { EXEMPLAR_TEXT_MAX = 4 * PROM_EXEMPLAR_RUNES_MAX + 2 * PROM_EXEMPLAR_LABELS_MAX };

struct exemplar {
        double value;
        int64_t time_ms; /* since 1970 */
        unsigned n_labels;
        char text[EXEMPLAR_TEXT_MAX]; /* name, value, name, value… */
};

static inline bool prom_has_exemplars_(const struct prom_series *series)
{
        return LOAD_ACQUIRE(&series->cold->exemplars) != NULL;
}

/* Of a series that begins anew, or is freed. */
void prom_forget_exemplars_(struct prom_series *series);
void prom_free_exemplars_(struct prom_series *series);

/* Copies the exemplar in that slot; false if there is none. */
bool prom_read_exemplar_(const struct prom_series *series, size_t slot,
                         struct exemplar *ret_exemplar);
