/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/baseline.h"

#include "prom/clock.h"

#include <math.h>
#include <string.h>

void prom_series_restamp_(struct prom_series *series)
{
        int64_t *created_ms = &series->cold->created_ms;
        const int64_t now_ms = prom_wall_ms_();
        *created_ms = now_ms > *created_ms ? now_ms : *created_ms + 1;
}

double prom_since_baseline_(double sum, uint64_t baseline)
{
        const double before = double_of(baseline);
        return isfinite(before) ? sum - before : before;
}

void prom_series_settle_(struct prom_series *series)
{
        struct prom_family *family = series->family;
        uint64_t words[SERIES_CELLS_MAX], *baseline = series->cold->baseline;
        if (family->ops->settle)
                family->ops->settle(series);
        if (family->n_sums == 0)
                return;
        family->ops->sums(series, words);
        const uint64_t n = family->ops->updates(family, baseline, words);
        if (n == 0)
                return;
        COUNT(&family->ignored, n);
        memcpy(baseline, words, family->n_sums * sizeof(*baseline));
}
