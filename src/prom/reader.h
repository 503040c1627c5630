/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a registry series by series. Part of prom.h. */
#pragma once

#include "prom/collector.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- reading a registry ----------------------------------------------------------------- */

/* A family. Valid during the callback, and read-only. */
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

/* The current value of a series, or of one state of a state set. Valid during the callback. */
struct prom_point {
        const struct prom_label
                *labels; /* including constant ones, sorted by name; values as given */
        size_t n_labels;
        double value; /* of a counter or gauge; 1 for an info; 1 or 0 for a state */
        const struct prom_snapshot *histogram;     /* of a histogram, otherwise NULL */
        const struct prom_native_snapshot *native; /* of one with native buckets, otherwise NULL */
        const struct prom_quantile_snapshot *summary; /* of a summary, otherwise NULL */
        int64_t created_ms;                           /* since 1970; 0: unknown, or a gauge */
        const void *private_;                         /* for prom_point_exemplar() */
};

/* Called once for each family with point == NULL, even if it has no series, and then for each of
 * its series. A result other than 0 ends the visit. The callback may do what a collector may. */
typedef int prom_visit_fn(const struct prom_view *family, const struct prom_point *point,
                          void *data);

/* Visits the whole registry, including the metrics of collectors, in the order in which it is
 * rendered. Meant for other formats, checks and tests. Holds no lock during callbacks. Returns 0,
 * -ENOMEM, or what `visit` returned. */
#ifndef PROM_CATCHES_
int prom_visit(struct prom_registry *registry, prom_visit_fn *visit, void *data);
#endif

/* One number of a series, as in the text formats. */
struct prom_sample {
        const char *name; /* with _bucket, _sum or _count */
        const struct prom_label
                *extra; /* "le" or "quantile", in addition to the point's; or NULL */
        double value;
        int slot; /* for prom_point_exemplar(); -1: no exemplar is possible */
};
typedef int prom_sample_fn(const struct prom_view *family, const struct prom_point *point,
                           const struct prom_sample *sample, void *data);

/* For visitors: calls `fn` for each number of the point until it returns something other than 0. A
 * histogram without classic buckets has only _sum and _count. Returns what the last call returned.
 */
int prom_point_samples(const struct prom_view *family, const struct prom_point *point,
                       prom_sample_fn *fn, void *data);

/* An exemplar. `labels` points into `text_`, so do not copy the struct. */
struct prom_exemplar {
        double value;
        int64_t time_ms; /* since 1970 */
        size_t n_labels;
        struct prom_label labels[PROM_EXEMPLAR_LABELS_MAX];
        char text_[4 * PROM_EXEMPLAR_RUNES_MAX + 2 * PROM_EXEMPLAR_LABELS_MAX];
};

/* Reads an exemplar: of a counter (slot 0), of a classic bucket (slots 0 to n_bounds), or of a
 * histogram without classic buckets (slots 0 to PROM_NATIVE_EXEMPLARS - 1). 0, or -ENOENT if the
 * slot is empty. */
int prom_point_exemplar(const struct prom_point *point, int slot, struct prom_exemplar *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
