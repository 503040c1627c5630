/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a registry series by series. Part of prom.h. */
#pragma once

#include "prom/collector.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- reading a registry ----------------------------------------------------------------- */

/* What a family is. Valid during the call it is handed to; nothing of it is to be written. */
struct prom_view {
        enum prom_kind kind;
        const char *name;
        const char *help;
        const char *unit;          /* or NULL */
        const char *const *labels; /* names of the variable labels, as in prom_desc */
        size_t n_labels;
        const double *bounds; /* of a histogram's buckets, +Inf not counted */
        size_t n_bounds;
};

/* One series as it stands, of a state set one state. Valid during the call. */
struct prom_point {
        const struct prom_label *labels; /* const ones included, sorted by name; values as given */
        size_t n_labels;
        double value; /* of a counter or gauge; 1 of an info; 1 or 0 of a state */
        const struct prom_snapshot *histogram;     /* NULL for what is none */
        const struct prom_native_snapshot *native; /* its native buckets; NULL if it has none */
        const struct prom_quantile_snapshot *summary;
        int64_t created_ms;   /* since 1970; 0: not known, or a gauge */
        const void *private_; /* for prom_point_exemplar() */
};

/* Called with point == NULL once for each family, those without series included, and then for each
 * of its series. What is not 0 ends the visit. May do what a collector may. */
typedef int prom_visit_fn(const struct prom_view *family, const struct prom_point *point,
                          void *data);

/* Goes through the registry in the order in which it is rendered, collectors included. For those
 * who write other formats, check or test what a scrape would show. Holds no lock while it calls.
 * 0, -ENOMEM, or what `visit` returned. */
#ifndef PROM_CATCHES_
int prom_visit(struct prom_registry *registry, prom_visit_fn *visit, void *data);
#endif

/* One number of a series, as the text formats show it. */
struct prom_sample {
        const char *name;               /* with _bucket, _sum or _count */
        const struct prom_label *extra; /* "le" or "quantile", beside the point's; or NULL */
        double value;
        int slot; /* for prom_point_exemplar(); -1: it has none */
};
typedef int prom_sample_fn(const struct prom_view *family, const struct prom_point *point,
                           const struct prom_sample *sample, void *data);

/* Calls `fn` for each number of the point: for visitors. A histogram with native buckets alone has
 * but _sum and _count. 0, or what `fn` returned, which ends it if it is not 0. */
int prom_point_samples(const struct prom_view *family, const struct prom_point *point,
                       prom_sample_fn *fn, void *data);

/* An exemplar, with the memory of its labels: not to be copied. */
struct prom_exemplar {
        double value;
        int64_t time_ms; /* since 1970 */
        size_t n_labels;
        struct prom_label labels[PROM_EXEMPLAR_LABELS_MAX];
        char text_[4 * PROM_EXEMPLAR_RUNES_MAX + 2 * PROM_EXEMPLAR_LABELS_MAX];
};

/* The exemplar of a counter (slot 0), of a classic bucket (slots 0 to n_bounds), or one of those of a
 * histogram with native buckets alone (slots 0 to PROM_NATIVE_EXEMPLARS - 1). 0, or -ENOENT if there
 * is none. */
int prom_point_exemplar(const struct prom_point *point, int slot, struct prom_exemplar *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
