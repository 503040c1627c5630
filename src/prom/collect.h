/* SPDX-License-Identifier: Apache-2.0 */
/* Collectors: functions of the program that give samples at a scrape. */
#pragma once

#include "prom/register.h"

struct gathering;
struct prom_scratch;

struct prom_collector {
        struct prom_registry *registry;
        prom_collect_fn *collect;
        prom_guard_fn_ *guard; /* calls it; NULL: it is called directly */
        void *data;
        prom_value_fn *value; /* of prom_register_value() */
        struct prom_family **families;
        size_t n;
        bool own;  /* the registry's own: it runs on the scrape's thread */
        bool busy; /* no scrape waits for it: it did not return in time. Under collect_lock */
        struct prom_collector *next;
};

struct prom_emitter {
        struct gathering *gathering;
        struct prom_collector *collector;
        const struct prom_scratch *scratch; /* of the registry's own collector; NULL for others */
        size_t base;                        /* of this collector's entries in per_family */
        int failed; /* -ENOMEM once memory ran out, -ECANCELED if an exception left it */
};

/* Registers one of the library's own collectors, which scrapes run on their own thread. */
int prom_register_own_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                       prom_collect_fn *collect, struct prom_error *error);
