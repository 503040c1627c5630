/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/self.h"

#include "prom/collect.h"
#include "prom/scrape.h"

#include <string.h>

enum { SELF_OVERFLOWS, SELF_IGNORED, SELF_FAILURES, N_SELF };

static const struct prom_desc self_metrics[N_SELF] = {
        [SELF_OVERFLOWS] = {.kind = PROM_COUNTER,
                            .name = "prom_series_overflow_total",
                            .help = "Look-ups that returned the overflow series because the metric "
                                    "has max_series series.",
                            .labels = (const char *const[]){"family", NULL},
                            .max_series = PROM_FAMILIES_MAX},
        [SELF_FAILURES] = {.kind = PROM_COUNTER,
                           .name = "prom_collect_failures_total",
                           .help = "Scrapes that omitted a metric because its collector failed or "
                                   "did not return in time.",
                           .labels = (const char *const[]){"family", NULL},
                           .max_series = PROM_FAMILIES_MAX},
        [SELF_IGNORED] = {.kind = PROM_COUNTER,
                          .name = "prom_ignored_updates_total",
                          .help = "Invalid updates of a metric, which were ignored: a counter "
                                  "decreased, NaN, wrong kind or labels.",
                          .labels = (const char *const[]){"family", NULL},
                          .max_series = PROM_FAMILIES_MAX},
};

static void collect_self(struct prom_emitter *emitter, void *data)
{
        const struct prom_scratch *scratch = emitter->scratch;
        uint64_t overflows = 0, ignored = 0, failures = 0;
        for (size_t i = 0; i < scratch->n_families; i++) {
                const struct prom_family *family = scratch->families[i];
                overflows += LOAD(&family->overflows);
                ignored += LOAD(&family->ignored);
                failures += LOAD(&family->failures);
                if (i + 1 < scratch->n_families &&
                    strcmp(family->name, scratch->families[i + 1]->name) == 0)
                        continue; /* counted with the next family of this name */
                if (overflows)
                        prom_emit(emitter, SELF_OVERFLOWS, (double)overflows, family->name);
                if (ignored)
                        prom_emit(emitter, SELF_IGNORED, (double)ignored, family->name);
                if (failures)
                        prom_emit(emitter, SELF_FAILURES, (double)failures, family->name);
                overflows = ignored = failures = 0;
        }
        uint64_t lost = LOAD(&prom_lost_updates_);
        if (lost)
                prom_emit(emitter, SELF_IGNORED, (double)lost, "(out of memory)");
}

int prom_register_self_(struct prom_registry *registry)
{
        return prom_register_own_(registry, self_metrics, N_SELF, collect_self, NULL);
}
