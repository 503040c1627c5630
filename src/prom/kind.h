/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between the kinds of metric: one row of operations and properties for each.
 *
 * A histogram with native buckets has a row of its own. A family finds its row at registration
 * (prom_family.ops), and all code but that of the kind goes through it. A row is complete in the
 * file of its kind: counter.c, gauge.c, histogram.c, native.c, summary.c, info.c, stateset.c.
 */
#pragma once

#include "prom/prom.h"

struct layout;
struct line;
struct prom_family;
struct prom_scratch;
struct prom_series;
struct sample;
struct scrape;
struct series_text;

enum { KIND_SUFFIXES_MAX = 5 };

/* What a description may or must contain, and what its series have. */
enum kind_trait {
        KIND_BUCKETS = 1 << 0,   /* upper bounds of classic buckets */
        KIND_QUANTILES = 1 << 1, /* quantiles and their time window */
        KIND_STATES = 1 << 2,    /* states, and a label named as the metric */
        KIND_UNIT = 1 << 3,      /* may have a unit */
        KIND_CHANGES = 1 << 4,   /* its value changes, so it can be idle and be reset */
        KIND_WORD = 1 << 5,      /* its value is one shared word, prom_series.word */
        KIND_SPARSE = 1 << 6,    /* counted in sparse buckets (native.h), prom_series.native */
        KIND_CREATED = 1 << 7,   /* shows the time of its creation */
        KIND_GROWS = 1 << 8,     /* its value never becomes smaller */
        KIND_COLLECTED = 1 << 9, /* a collector may feed it */
};

struct kind_ops {
        const char *phrase;         /* "a counter", for messages */
        const char *name_suffix;    /* the required end of the name, or NULL */
        const char *reserved_label; /* a label that some of its lines have, or NULL */
        unsigned traits;            /* of enum kind_trait */

        const char *text_type, *open_type; /* in text, and in OpenMetrics */
        char proto_type;                   /* enum MetricType in protobuf */
        const char
                *open_suffix; /* what a single sample appends to the family's name in OpenMetrics */
        const char *suffixes[KIND_SUFFIXES_MAX]; /* all that its samples append in some format */

        /* Sets how many cells, sums and exemplars each series of a new family has. NULL: none. */
        void (*lay_out)(struct prom_family *family);

        /* Creates and frees what a series has besides its cells; false without memory. NULL if it
         * has nothing else. */
        bool (*init)(struct prom_series *series);
        void (*release)(struct prom_series *series);

        /* With slab_lock held: computes family->n_sums words of sums over all lives of the series;
         * and counts the updates between two such sums. NULL for kinds without sums. */
        void (*sums)(const struct prom_series *series, uint64_t *ret_words);
        uint64_t (*updates)(const struct prom_family *family, const uint64_t *before,
                            const uint64_t *after);

        /* With slab_lock held, for kinds without sums: restarts a series at 0; and counts as
         * ignored, and drops, the updates of a removed one. NULL if there is nothing to do. */
        void (*reset)(struct prom_series *series);
        void (*settle)(struct prom_series *series);

        /* With slab_lock held: a number that changes when the value does. NULL: computed from the
         * sums. */
        uint64_t (*digest)(struct prom_series *series);

        /* Reads the series for a visitor; snapshots are in the scratch. `n_sets` is scrape.n_sets.
         * 1; 0 if the series is not shown; -ENOMEM. */
        int (*point)(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                     struct prom_point *ret_point);

        /* How many lines a series has in a layout, without that for the time of its creation; and
         * what distinguishes line number i. See layout.h. */
        size_t (*n_lines)(const struct layout *layout);
        void (*describe_line)(const struct layout *layout, size_t i, struct line *line);

        /* Reads n <= SUM_BATCH adjacent series and passes their values to the format of a scrape;
         * or passes on a sample of a collector, if the kind is KIND_COLLECTED. False without
         * memory. See format.h. */
        bool (*render)(struct scrape *s, struct prom_series *series,
                       const struct series_text *texts, size_t n);
        bool (*sample)(struct scrape *s, const struct sample *sample,
                       const struct series_text *text);
};

extern const struct kind_ops prom_counter_ops_;
extern const struct kind_ops prom_gauge_ops_;
extern const struct kind_ops prom_histogram_ops_;
extern const struct kind_ops prom_native_ops_; /* a histogram with native buckets */
extern const struct kind_ops prom_summary_ops_;
extern const struct kind_ops prom_info_ops_;
extern const struct kind_ops prom_stateset_ops_;

/* The row of a kind. With `native`, that of a histogram with native buckets. */
const struct kind_ops *prom_kind_ops_(enum prom_kind kind, bool native);

static inline bool prom_kind_has_(const struct kind_ops *ops, enum kind_trait trait)
{
        return (ops->traits & trait) != 0;
}
