/* SPDX-License-Identifier: Apache-2.0 */
/* Collectors: functions of the program that emit samples during a scrape. */
#pragma once

#include "prom/register.h"

struct gathering;
struct prom_scratch;

struct prom_collector {
        struct prom_registry *registry;
        prom_collect_fn *collect;
        prom_guard_fn_ *guard; /* calls `collect`; NULL: call it directly */
        void *data;
        prom_value_fn *value; /* of prom_register_value() */
        struct prom_family **families;
        size_t n;
        bool own;  /* one of the library: it runs on the thread of the scrape */
        bool busy; /* under collect_lock: it did not return in time, so scrapes skip it */
        struct prom_collector *next;
};

struct prom_emitter {
        struct gathering *gathering;
        struct prom_collector *collector;
        const struct prom_scratch *scratch; /* for the library's own collectors, otherwise NULL */
        size_t base; /* index of the collector's first entry in gathering.per_family */
        int failed;  /* -ENOMEM: without memory; -ECANCELED: it threw an exception */
};

/* Registers a collector of the library, which runs on the thread of the scrape. */
int prom_register_own_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                       prom_collect_fn *collect, struct prom_error *error);
