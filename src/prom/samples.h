/* SPDX-License-Identifier: Apache-2.0 */
/* The samples that collectors emit during a scrape. */
#pragma once

#include "prom/collect.h"

struct sample {
        uint64_t hash;
        size_t values; /* where its label values are in gathering.text, each with its NUL */
        size_t len;    /* bytes of these */
        const struct prom_family *family;
        double value;  /* of a histogram, the sum */
        size_t counts; /* of a histogram, where the counts of its buckets are in gathering.counts */
        size_t next;   /* index + 1 of the next sample of the family; 0: none */
};

struct family_samples {
        struct prom_family *family;
        size_t first; /* index + 1 */
        size_t last;
        size_t n;
};

/*
 * The samples of one scrape, and the state of the thread that gathers them (gather.c). The scrape
 * owns it, but if the scrape stops waiting (GATHER_ABANDONED), that thread does.
 */
struct gathering {
        struct family_samples *per_family; /* one for each family fed by a collector */
        size_t cap_per_family;
        size_t n_per_family;
        struct sample *samples;
        size_t cap_samples;
        size_t n_samples;
        size_t *seen; /* hash table of index + 1 of samples, to find duplicates */
        size_t cap_seen;
        char *text;
        size_t text_len;
        size_t text_cap;
        uint64_t *counts;
        size_t n_counts;
        size_t cap_counts;

        struct prom_registry *registry;
        struct prom_collector **collectors; /* to run, in order */
        size_t cap_collectors;
        size_t n_collectors;

        pthread_mutex_t lock; /* guards the members below */
        pthread_cond_t changed;
        size_t at;         /* the collector that is running, or the next one */
        uint64_t since_ns; /* prom_now_ns() when it started */
        int result;        /* 0 or -ENOMEM */
        enum { GATHERING, GATHER_DONE, GATHER_LEFT, GATHER_ABANDONED } state;
};

/* Runs a collector. 0; -ENOMEM; -ECANCELED, with its samples dropped, if it threw an exception. */
int prom_run_collector_(struct prom_collector *collector, struct gathering *gathering,
                        const struct prom_scratch *scratch);

/* Drops the samples of the collector that ran last. */
void prom_drop_collected_(struct gathering *gathering, const struct prom_collector *collector);

/* The samples of a family in the scratch; NULL if its collector did not run, or failed. */
const struct family_samples *prom_samples_of_(const struct gathering *gathering,
                                              const struct prom_family *family);

/* The snapshot of a histogram that a collector emitted. */
void prom_sample_histogram_(const struct gathering *gathering, const struct sample *sample,
                            struct prom_snapshot *ret_snapshot);
