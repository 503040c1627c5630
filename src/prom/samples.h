/* SPDX-License-Identifier: Apache-2.0 */
/* The samples that collectors give to a scrape. */
#pragma once

#include "prom/collect.h"

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

/* Runs one. 0, -ENOMEM, or -ECANCELED if an exception left it: its samples are dropped then. */
int prom_run_collector_(struct prom_collector *collector, struct gathering *gathering,
                        const struct prom_scratch *scratch);

/* Drops the samples of the collector that was run last. */
void prom_drop_collected_(struct gathering *gathering, const struct prom_collector *collector);

/* The samples of this family, which is one of those in the scratch; NULL if its collector was not
 * run, or failed. */
const struct family_samples *prom_samples_of_(const struct gathering *gathering,
                                              const struct prom_family *family);

/* What a collector emitted for a histogram. */
void prom_sample_histogram_(const struct gathering *gathering, const struct sample *sample,
                            struct prom_snapshot *ret_snapshot);
