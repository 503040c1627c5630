/* SPDX-License-Identifier: Apache-2.0 */
/* Registries, and registering families in them. */
#pragma once

#include "prom/family.h"
#include "prom/locks.h"

struct prom_registry {
        struct prom_family **families; /* sorted by name */
        size_t n_families;
        size_t n_own; /* of them: those about the registry itself, which take no one's place */
        size_t cap_families;
        struct prom_family *all;
        struct prom_collector *collectors;
        pthread_mutex_t collect_lock; /* held while a scrape waits for its collectors */
        pthread_cond_t collect_idle;  /* a busy collector has returned */
        struct prom_registry *next;   /* in the list of all, for fork */
};

/* Registers with all checks; collector may be NULL, reuse means prom_obtain_all(). */
int prom_register_families_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            struct prom_collector *collector, bool reuse,
                            struct prom_family **ret_families, struct prom_error *error);
