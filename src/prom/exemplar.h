/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars of counters and histograms. They are kept under prom_exemplar_lock_, the last in the
 * lock order; updates without an exemplar never touch it, and those with one only try to take it.
 */
#pragma once

#include "prom/family.h"

/* Names and values of PROM_EXEMPLAR_LABELS_MAX labels, each with its NUL. */
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

/* Drops the exemplars of a series that restarts, or frees their memory with the series. */
void prom_forget_exemplars_(struct prom_series *series);
void prom_free_exemplars_(struct prom_series *series);

/* Copies the exemplar in that slot; false if it is empty. */
bool prom_read_exemplar_(const struct prom_series *series, size_t slot,
                         struct exemplar *ret_exemplar);
