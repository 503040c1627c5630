/* SPDX-License-Identifier: Apache-2.0 */
/* The registry, and registering families in it. */
#pragma once

#include "prom/family.h"
#include "prom/locks.h"

struct prom_registry {
        struct prom_family **families; /* sorted by name */
        size_t n_families;
        size_t n_own; /* of them about the registry itself; these do not count towards the limit */
        size_t cap_families;
        struct prom_family *all; /* including retired ones, linked by next */
        struct prom_collector *collectors;
        pthread_mutex_t collect_lock; /* held while a scrape runs collectors */
        pthread_cond_t collect_idle;  /* signalled when a busy collector returns */
        struct prom_registry *next;   /* in the list of all registries, for fork() */
};

/* Registers n families, all or none. `collector` may be NULL. With `reuse` it behaves as
 * prom_obtain_all(). */
int prom_register_families_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            struct prom_collector *collector, bool reuse,
                            struct prom_family **ret_families, struct prom_error *error);
