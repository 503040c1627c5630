/* SPDX-License-Identifier: Apache-2.0 */
/* Registering and removing collectors. */
#include "prom/collect.h"

#include "prom/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- registering -------------------------------------------------------------------------- */

/* Adds a collector like *like, which has all members except `families`. */
static int add_collector(const struct prom_collector *like, const struct prom_desc *descs,
                         struct prom_collector **ret_collector, struct prom_error *error)
{
        struct prom_registry *registry = like->registry;
        const size_t n = like->n;
        struct prom_collector *collector = calloc(1, sizeof(*collector));
        struct prom_family **families = calloc(n ? n : 1, sizeof(*families));
        int r = -ENOMEM;
        if (!collector || !families)
                prom_fail_(error, ENOMEM, "out of memory");
        else
                r = prom_register_families_(registry, descs, n, collector, false, families, error);
        if (r < 0) {
                free(families);
                free(collector);
                return r;
        }
        *collector = *like;
        collector->families = families;
        pthread_mutex_lock(&prom_table_lock_);
        collector->next = registry->collectors;
        STORE_RELEASE(&registry->collectors, collector);
        pthread_mutex_unlock(&prom_table_lock_);
        if (ret_collector)
                *ret_collector = collector;
        return 0;
}

/* Whether the description is of a kind with this trait. False for an invalid kind. */
static bool is_kind(const struct prom_desc *desc, enum kind_trait trait)
{
        return desc->kind >= PROM_COUNTER && desc->kind <= PROM_STATESET &&
               prom_kind_has_(prom_kind_ops_(desc->kind, desc->native_factor != 0), trait);
}

int prom_register_guarded_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                           prom_collect_fn *collect, void *data, prom_guard_fn_ *guard,
                           struct prom_collector **ret_collector, struct prom_error *error)
{
        struct prom_collector like = {
                .registry = registry, .collect = collect, .guard = guard, .data = data, .n = n};
        for (size_t i = 0; i < n; i++)
                if (!is_kind(&descs[i], KIND_COLLECTED))
                        return prom_fail_(error, EINVAL,
                                          "metric %s: a collector feeds only counters, gauges and "
                                          "histograms with classic buckets",
                                          descs[i].name ? descs[i].name : "");
        return add_collector(&like, descs, ret_collector, error);
}

int prom_register_collector(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            prom_collect_fn *collect, void *data,
                            struct prom_collector **ret_collector, struct prom_error *error)
{
        return prom_register_guarded_(registry, descs, n, collect, data, NULL, ret_collector,
                                      error);
}

int prom_register_own_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                       prom_collect_fn *collect, struct prom_error *error)
{
        struct prom_collector like = {
                .registry = registry, .collect = collect, .n = n, .own = true};
        return add_collector(&like, descs, NULL, error);
}

static void collect_value(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, emitter->collector->value(data));
}

int prom_register_guarded_value_(struct prom_registry *registry, const struct prom_desc *desc,
                                 prom_value_fn *value, void *data, prom_guard_fn_ *guard,
                                 struct prom_collector **ret_collector, struct prom_error *error)
{
        struct prom_collector like = {.registry = registry,
                                      .collect = collect_value,
                                      .guard = guard,
                                      .data = data,
                                      .value = value,
                                      .n = 1};
        if (!is_kind(desc, KIND_COLLECTED) || is_kind(desc, KIND_BUCKETS) ||
            (desc->labels && desc->labels[0]))
                return prom_fail_(error, EINVAL,
                                  "metric %s: only counters and gauges without labels can have "
                                  "a value function",
                                  desc->name ? desc->name : "");
        return add_collector(&like, desc, ret_collector, error);
}

int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                        prom_value_fn *value, void *data, struct prom_collector **ret_collector,
                        struct prom_error *error)
{
        return prom_register_guarded_value_(registry, desc, value, data, NULL, ret_collector,
                                            error);
}

static void retire(struct prom_registry *registry, struct prom_family *family)
{
        family->retired = true;
        for (size_t i = 0; i < registry->n_families; i++) {
                if (registry->families[i] != family)
                        continue;
                registry->n_families--;
                memmove(&registry->families[i], &registry->families[i + 1],
                        (registry->n_families - i) * sizeof(registry->families[0]));
                return;
        }
}

/* The families are kept until the registry is freed, because a scrape may be rendering them. The
 * next collector with the same families reuses them. */
void prom_collector_remove(struct prom_collector *collector)
{
        if (!collector)
                return;
        struct prom_registry *registry = collector->registry;
        pthread_mutex_lock(&registry->collect_lock);
        while (collector->busy)
                pthread_cond_wait(&registry->collect_idle, &registry->collect_lock);
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_collector **link = &registry->collectors;
        while (*link && *link != collector)
                link = &(*link)->next;
        if (*link)
                STORE_RELEASE(link, collector->next);
        for (size_t i = 0; i < collector->n; i++)
                retire(registry, collector->families[i]);
        pthread_mutex_unlock(&prom_table_lock_);
        pthread_mutex_unlock(&registry->collect_lock);
        free(collector->families);
        free(collector);
}
