/* SPDX-License-Identifier: Apache-2.0 */
/* Collectors, and the samples they give to a scrape. */
#pragma once

#include "prom/registry.h"

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

struct sample {
        uint64_t hash;
        size_t values; /* of its label values in text, each with its NUL, one after the other */
        size_t len;    /* of all these */
        const struct prom_family *family;
        double value;  /* of a histogram: its sum */
        size_t counts; /* of a histogram: those of its buckets in scratch->counts */
        size_t next;   /* index + 1 of the next sample of the family, 0 at the end */
};

struct family_samples {
        struct prom_family *family;
        size_t first; /* index + 1 */
        size_t last;
        size_t n;
};

/*
 * The samples of one scrape, and the thread that gathers them (gather.c). Belongs to the scrape; to
 * that thread from the moment that the scrape gives up waiting for it.
 */
struct gathering {
        struct family_samples *per_family; /* one for each family fed by a collector */
        size_t cap_per_family;
        size_t n_per_family;
        struct sample *samples;
        size_t cap_samples;
        size_t n_samples;
        size_t *seen; /* hash table of samples, index + 1, against duplicates */
        size_t cap_seen;
        char *text;
        size_t text_len;
        size_t text_cap;
        uint64_t *counts;
        size_t n_counts;
        size_t cap_counts;

        struct prom_registry *registry;
        struct prom_collector **collectors; /* to be run, in order */
        size_t cap_collectors;
        size_t n_collectors;

        pthread_mutex_t lock; /* guards all below */
        pthread_cond_t changed;
        size_t at;         /* the collector that runs, or is next */
        uint64_t since_ns; /* prom_now_ns() when that one began */
        int result;        /* -ENOMEM once memory ran out */
        enum { GATHERING, GATHER_DONE, GATHER_LEFT, GATHER_ABANDONED } state;
};

struct prom_emitter {
        struct gathering *gathering;
        struct prom_collector *collector;
        const struct prom_scratch *scratch; /* of the registry's own collector; NULL for others */
        size_t base;                        /* of this collector's entries in per_family */
        int failed; /* -ENOMEM once memory ran out, -ECANCELED if an exception left it */
};

/* Runs the collectors, except those without a wanted family; their samples are in
 * scratch->gathering afterwards. Without its samples: a collector that fails or does not return.
 * 0 or -ENOMEM. */
int prom_gather_(struct prom_registry *registry, struct prom_scratch *scratch);
void prom_gathering_free_(struct gathering *gathering);

/* Runs one. 0, -ENOMEM, or -ECANCELED if an exception left it: its samples are dropped then. */
int prom_run_collector_(struct prom_collector *collector, struct gathering *gathering,
                        const struct prom_scratch *scratch);

/* Drops the samples of the collector that was run last. */
void prom_drop_collected_(struct gathering *gathering, const struct prom_collector *collector);

/* The samples of this family, which is one of those in the scratch; NULL if its collector was not
 * run, or failed. */
const struct family_samples *prom_samples_of_(const struct gathering *gathering,
                                              const struct prom_family *family);

/* Registers one of the library's own collectors, which scrapes run on their own thread. */
int prom_register_own_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                       prom_collect_fn *collect, struct prom_error *error);

/* The counters every registry has about itself. */
int prom_register_self_(struct prom_registry *registry);

/* What a collector emitted for a histogram. */
void prom_sample_histogram_(const struct gathering *gathering, const struct sample *sample,
                            struct prom_snapshot *ret_snapshot);
