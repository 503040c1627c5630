/* SPDX-License-Identifier: Apache-2.0 */
/* Registries, metrics and their updates. Part of prom.h, which defines the terms and the rules. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
        PROM_ERROR_MAX = 256,
        PROM_NAME_MAX = 200,        /* bytes of a metric or label name */
        PROM_HELP_MAX = 1000,       /* bytes of a help text */
        PROM_LABELS_MAX = 16,       /* labels of a family, constant ones included */
        PROM_LABEL_VALUE_MAX = 512, /* bytes of a label value; longer ones are truncated */
        PROM_BUCKETS_MAX = 250,     /* buckets of a histogram, +Inf not counted */
        PROM_SERIES_DEFAULT = 1000, /* series of a family, by default */
        PROM_SERIES_MAX = 1 << 20,  /* series of a family, at most */
        PROM_FAMILIES_MAX = 10000,  /* families of a registry, not counting its own */
        /* words in all registries together: a counter takes 2, a histogram 2 + 2 times its buckets.
         * When none is left, new label values get the overflow series, or NULL if the family has
         * none */
        PROM_CELLS_MAX = 1 << 23,
        PROM_UNIT_MAX = 32,                /* bytes of a unit */
        PROM_STATES_MAX = 64,              /* states of a state set */
        PROM_QUANTILES_MAX = 16,           /* quantiles of a summary */
        PROM_NATIVE_BUCKETS_DEFAULT = 160, /* populated buckets of a native histogram, by default */
        PROM_NATIVE_BUCKETS_MAX = 1024,    /* populated buckets of a native histogram, at most */
        PROM_EXEMPLAR_LABELS_MAX = 8,      /* labels of an exemplar */
        /* characters of the names and values of an exemplar; a name counts with its longest
         * escaped form */
        PROM_EXEMPLAR_RUNES_MAX = 128,
        PROM_NATIVE_EXEMPLARS = 10,     /* exemplars of a histogram without classic buckets */
        PROM_SKETCH_BUCKETS_MAX = 1024, /* populated buckets of the sketch of a summary */
        PROM_CURRIED_MAX = 1024,        /* curried families of a family */
        /* times max_series: series of a family, removed and hidden ones included. Beyond that, new
         * label values get the overflow series */
        PROM_TOMBSTONES_FACTOR = 16,
        PROM_KEPT_FACTOR = 4,     /* times max_series: removed series that can still come back */
        PROM_HANDLE_GRACE_S = 60, /* how long the memory of other removed series is not reused */
};

struct prom_error {
        char msg[PROM_ERROR_MAX];
};

/* ---- registries ------------------------------------------------------------------------- */

struct prom_registry;
struct prom_family;

/* A new, empty registry; NULL without memory. */
struct prom_registry *prom_registry_new(void);

/* Frees the registry with all its families and handles, none of which may be in use. NULL and the
 * default registry are ignored. */
void prom_registry_free(struct prom_registry *registry);

/* The registry of the process, created on first use in static memory. Never NULL. */
struct prom_registry *prom_default_registry(void);

/* Restarts all series at 0 with a new time of creation. Handles stay valid, removed series stay
 * removed, infos and collectors are unaffected. A server that forks its workers calls this in each
 * child: otherwise each worker continues from the parent's values, and the sum over the workers
 * counts them once per worker (docs/prom.md, "Servers that fork"). A concurrent update counts
 * either before or after the reset. 0; -ENOMEM, with some series reset and some not. */
int prom_registry_reset(struct prom_registry *registry);

/* The family of that name, or NULL. If several differ in their constant labels, the one registered
 * first. */
struct prom_family *prom_registry_find(struct prom_registry *registry, const char *name);

/* ---- declaring metrics ------------------------------------------------------------------ */

enum prom_kind {
        PROM_COUNTER = 1, /* only increases; its name should end with _total */
        PROM_GAUGE,       /* goes up and down */
        PROM_HISTOGRAM,   /* observations counted in buckets, classic, native or both */
        PROM_SUMMARY,     /* sum and count of observations, and quantiles of the recent ones */
        PROM_INFO,        /* always 1, with information in the labels; its name ends with _info */
        PROM_STATESET,    /* which of some named states hold */
};

struct prom_label {
        const char *name;
        const char *value;
};

/* Names. Every scraper reads metric names that match [a-zA-Z_:][a-zA-Z0-9_:]* and label names that
 * match [a-zA-Z_][a-zA-Z0-9_]*. As in Prometheus 3.0 and later, other UTF-8 of at most
 * PROM_NAME_MAX bytes is allowed too ("http.status"); scrapers that do not support it get an
 * escaped name (enum prom_escaping). The following are reserved for labels, and for the name of a
 * state set, which becomes a label: names that start with "__", as they are or after
 * PROM_ESCAPE_UNDERSCORES (for example "\u00e9\u00e9"). "le" is reserved in histograms, "quantile"
 * in summaries.
 *
 * A name may be registered several times with different values of its constant labels if kind,
 * help, unit and the names of all labels agree. Scrapers see one metric.
 *
 * Two metrics collide, and cannot be in one registry, if a name of one equals a name of the other.
 * The names of a metric are its own and those with a suffix that its kind has in some format
 * (_total, _created, _bucket, _sum, _count, _info), each as it is and escaped. For example,
 * scrapers without UTF-8 support cannot tell "a.b" from "a_b" and would reject the whole scrape.
 * Two labels of one metric collide in the same way.
 */

/* The description of a metric. Meant as a row of a const table from which a program registers its
 * metrics and generates their documentation. Only kind, name and help are mandatory. */
struct prom_desc {
        enum prom_kind kind;
        const char *name;          /* see "Names" above */
        const char *help;          /* UTF-8, one sentence */
        const char *const *labels; /* names, terminated by NULL; NULL for none */
        const double *buckets;     /* histogram: finite, increasing upper bounds; a final +Inf is
                                      implied and may be given. NULL: the default buckets, or with
                                      native_factor none */
        size_t n_buckets;          /* the number of bounds; PROM_BUCKETS() sets both */
        const struct prom_label
                *const_labels; /* the same for all series, terminated by a NULL name */
        size_t max_series;     /* 0: PROM_SERIES_DEFAULT */
        const char *unit;      /* for OpenMetrics: [a-zA-Z0-9_:]+. The name, without the _total
                                  of a counter, must end with "_" and the unit. NULL for none.
                                  Not allowed for infos and state sets */
        double idle_timeout_s; /* hide a series whose value, as compared at scrapes, has not
                                  changed for this time, until it changes. 0: never */
        bool idle_remove;      /* remove such a series instead, as prom_remove() does, so that its
                             memory can be reused. For families whose handles are fetched for
                             each use. Without it idle series are kept for ever */

        /* A native histogram has sparse exponential buckets, each at most native_factor times as
         * wide as the one before. The factor is above 1, often 1.1; 0 means no native buckets.
         * These fields mean the same as in client_golang. */
        double native_factor;
        size_t native_max_buckets;    /* 0: PROM_NATIVE_BUCKETS_DEFAULT */
        double native_zero_threshold; /* |v| up to this counts as zero. 0: 2^-128; negative: 0 */
        double native_max_zero_threshold; /* how far that threshold may be widened to save
                                             buckets */
        double native_min_reset_s;        /* a histogram with too many buckets is reset if its last
                                      reset was this long ago. 0: never */

        const double *quantiles; /* summary: increasing, each in [0, 1]; NULL for none */
        size_t n_quantiles;
        double max_age_s; /* quantiles are computed over the observations of this time. 0: 600 */

        const char *const
                *states; /* state set: at most PROM_STATES_MAX names, terminated by NULL. They
                                      become the values of a label named like the metric */
};

/* Members of a struct prom_desc, in C:
 *
 *     {.kind = PROM_HISTOGRAM, .name = "app_request_bytes", .help = "Bytes of a request.",
 *      .labels = PROM_LABELS("method", "code"), PROM_BUCKETS(100, 1000, 10000)}
 *
 * The arrays live as long as the enclosing block; at file scope, for ever. Registering copies them.
 */
#ifndef __cplusplus
#define PROM_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PROM_BUCKETS(...)                                                                          \
        .buckets = (const double[]){__VA_ARGS__},                                                  \
        .n_buckets = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)
#endif

/* 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10, as in all Prometheus clients. */
enum { PROM_DEFAULT_BUCKETS = 11 };
extern const double prom_default_buckets[PROM_DEFAULT_BUCKETS];

/* n bounds: start, start + width, ... -EINVAL, with nothing written, if the bounds would not
 * increase, or if n is 0 or above PROM_BUCKETS_MAX. */
int prom_linear_buckets(double start, double width, size_t n, double *ret_buckets);

/* n bounds: start, start * factor, start * factor^2, ... -EINVAL as above. */
int prom_exponential_buckets(double start, double factor, size_t n, double *ret_buckets);

/* Adds a family to the registry.
 * -EINVAL   a name, label, help or bucket is invalid
 * -EEXIST   the name is registered (with the same constant labels), or collides: see "Names"
 * -ENOSPC   PROM_FAMILIES_MAX or PROM_CELLS_MAX is reached
 * -ENOMEM
 * ret_family may be NULL; it is untouched on failure. */
int prom_register(struct prom_registry *registry, const struct prom_desc *desc,
                  struct prom_family **ret_family, struct prom_error *error);

/* Registers n families, all or none, with the errors of prom_register(). ret_families: n pointers,
 * or NULL. */
int prom_register_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                      struct prom_family **ret_families, struct prom_error *error);

/* As prom_register_all(), but returns a family that is already registered with the same kind,
 * labels, constant labels, buckets, quantiles and states; -EEXIST if one of these differs. For
 * objects of which a process creates several that share their metrics. */
int prom_obtain_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                    struct prom_family **ret_families, struct prom_error *error);

/* How many look-ups of this family returned the overflow series, and how many of its updates were
 * ignored. 0 for NULL. */
uint64_t prom_family_overflows(const struct prom_family *family);
uint64_t prom_family_ignored(const struct prom_family *family);

/* ---- handles ---------------------------------------------------------------------------- */

struct prom_counter;
struct prom_gauge;
struct prom_histogram;
struct prom_summary;
struct prom_info;
struct prom_stateset;

/* The series with these label values, in the order of prom_desc.labels, created if it does not
 * exist.
 *
 *     prom_counter_with(family)                    a family without labels
 *     prom_counter_with(family, "python", "ok")    a family with two
 *
 * A NULL value means "". Bytes that are not UTF-8 are replaced by U+FFFD, and values longer than
 * PROM_LABEL_VALUE_MAX are truncated. Returns NULL, which every update accepts, if the family is
 * NULL, of another kind, fed by a collector, or has another number of labels. Returns the overflow
 * series, or NULL if the family has none yet, if there is no memory or no cell (PROM_CELLS_MAX) for
 * a new series. */
#define prom_counter_with(...) PROM_WITH_(counter, __VA_ARGS__)
#define prom_gauge_with(...) PROM_WITH_(gauge, __VA_ARGS__)
#define prom_histogram_with(...) PROM_WITH_(histogram, __VA_ARGS__)
#define prom_summary_with(...) PROM_WITH_(summary, __VA_ARGS__)
#define prom_info_with(...) PROM_CALL_(prom_info_with_values, __VA_ARGS__)
#define prom_stateset_with(...) PROM_CALL_(prom_stateset_with_values, __VA_ARGS__)

struct prom_counter *prom_counter_with_values(struct prom_family *family, const char *const *values,
                                              size_t n);
struct prom_gauge *prom_gauge_with_values(struct prom_family *family, const char *const *values,
                                          size_t n);
struct prom_histogram *prom_histogram_with_values(struct prom_family *family,
                                                  const char *const *values, size_t n);
struct prom_summary *prom_summary_with_values(struct prom_family *family, const char *const *values,
                                              size_t n);
struct prom_info *prom_info_with_values(struct prom_family *family, const char *const *values,
                                        size_t n);
struct prom_stateset *prom_stateset_with_values(struct prom_family *family,
                                                const char *const *values, size_t n);

/* ---- removing series -------------------------------------------------------------------- */

/* Scrapes that begin after a series was removed do not show it. Its handles remain valid memory.
 * Updates through them have no visible effect, and a later scrape or look-up counts them as ignored
 * (for a counter, the amount added, rounded up). Fetching the same label values again brings the
 * series back under the same handle, at 0 and with a new time of creation. An update concurrent
 * with the removal counts either before or after it. A removed series reads as 0. In a series that
 * came back, the fractional part of a counter and the sum of a classic histogram are as precise as
 * a double that holds the total of all its lives; once that total has overflowed, they stay
 * infinite.
 *
 * A removed series keeps its memory, a few hundred bytes and its cells, for a while. When more than
 * PROM_KEPT_FACTOR times max_series series are removed, or any while the family is nearly full,
 * those removed first can no longer come back. Their memory is given to new label values, at the
 * earliest PROM_HANDLE_GRACE_S later, and not during a prom_visit(). From then on an update through
 * an old handle would count for the new series.
 *
 * Therefore a program must not use a handle for longer than PROM_HANDLE_GRACE_S after it removed
 * the series. This is the only such rule, and it does not concern families of which no series is
 * removed. Label values can come and go for ever, up to 10 times max_series of them in
 * PROM_HANDLE_GRACE_S; choose max_series accordingly.
 *
 * A series that is hidden because it is idle is kept for ever, unless prom_desc.idle_remove is set.
 * Series of a collector cannot be removed. These functions take a lock. */

/* Removes one series. 0; -ENOENT if there is no series with these values; -EINVAL, counted as an
 * ignored update, if the number of values is wrong or the family is fed by a collector; -ENOMEM,
 * which the next two functions may return as well. */
#define prom_remove(...) PROM_CALL_(prom_remove_values, __VA_ARGS__)
int prom_remove_values(struct prom_family *family, const char *const *values, size_t n);

/* Removes all series that have these labels, a list terminated by a NULL name. Returns their
 * number, which may be 0; -EINVAL, counted as an ignored update, if the family has no such label.
 */
int prom_remove_partial(struct prom_family *family, const struct prom_label *labels);

/* Removes all series. Returns their number. */
int prom_clear(struct prom_family *family);

/* ---- curried families ------------------------------------------------------------------- */

/* A view of the family with some of its labels set. prom_..._with() and prom_remove...() on the
 * view take values for the remaining labels, and prom_clear() removes the series of the view. A
 * look-up costs as much as in a family with that many labels. The family owns the view. Create a
 * view once and keep it: the same labels return the same view, but after a lock and a search. A
 * view can be curried again.
 * -EINVAL   there is no such label, a label is given twice, or a collector feeds the family
 * -ENOSPC   PROM_CURRIED_MAX is reached
 * -ENOMEM */
int prom_curry(struct prom_family *family, const struct prom_label *labels,
               struct prom_family **ret_family, struct prom_error *error);

/* ---- counters --------------------------------------------------------------------------- */

void prom_counter_inc(struct prom_counter *counter);

/* Adds an integer. */
void prom_counter_add_int(struct prom_counter *counter, uint64_t n);

/* Adds v >= 0. Integers are summed exactly up to 2^64, other values as a double. */
void prom_counter_add(struct prom_counter *counter, double v);

/* The sum over all threads. Never less than an earlier call on the same thread returned. */
double prom_counter_value(const struct prom_counter *counter);

/* As prom_counter_add(), and keeps the labels (a trace id, for example), v and the time as the
 * exemplar of the series, replacing the previous one. `labels` is terminated by a NULL name, or
 * NULL. Only a sample of the exemplars is kept: if another thread is accessing exemplars, this one
 * is dropped and v is counted all the same. An exemplar is dropped and counted as an ignored update
 * if it has more than PROM_EXEMPLAR_RUNES_MAX characters or PROM_EXEMPLAR_LABELS_MAX labels, is not
 * UTF-8, or has an invalid name or two names that collide (see "Names"). Tries to take a lock but
 * never waits; may allocate. */
void prom_counter_add_exemplar(struct prom_counter *counter, double v,
                               const struct prom_label *labels);

/* Inline: int prom_count_failure(struct prom_counter *counter, int result)
 *
 * Returns result; if it is negative, increments the counter first.
 *
 *     int r = prom_count_failure(errors, store_write(store, record)); */

/* ---- gauges ----------------------------------------------------------------------------- */

/* Inline: void prom_gauge_set(struct prom_gauge *gauge, double v)
 *
 * Any double, including NaN and the infinities. Concurrent calls of add and sub lose nothing. */
void prom_gauge_add(struct prom_gauge *gauge, double v);
void prom_gauge_sub(struct prom_gauge *gauge, double v);
void prom_gauge_inc(struct prom_gauge *gauge);
void prom_gauge_dec(struct prom_gauge *gauge);
double prom_gauge_value(const struct prom_gauge *gauge);

/* Sets it to the time of day in seconds since 1970, or to the seconds since an earlier
 * prom_now_ns(). */
void prom_gauge_set_to_now(struct prom_gauge *gauge);
void prom_gauge_set_since_ns(struct prom_gauge *gauge, uint64_t start_ns);

/* Increments the gauge, and decrements it at the end of the enclosing block, whichever way control
 * leaves it, except by longjmp():
 *
 *     PROM_IN_PROGRESS_SCOPE(in_flight);
 */
#define PROM_IN_PROGRESS_SCOPE(gauge)                                                              \
        __attribute__((cleanup(prom_in_progress_end_), unused)) struct prom_gauge *PROM_UNIQUE_(   \
                prom_in_progress_) = prom_in_progress_begin_(gauge)

/* ---- histograms ------------------------------------------------------------------------- */

/* Counts v, which must be finite, in the first bucket whose bound ("le") is >= v, otherwise in
 * +Inf. */
void prom_histogram_observe(struct prom_histogram *histogram, double v);

/* CLOCK_MONOTONIC in nanoseconds; and observing the seconds since such a time. */
uint64_t prom_now_ns(void);
void prom_histogram_observe_since_ns(struct prom_histogram *histogram, uint64_t start_ns);

/* Observes the seconds from here to the end of the enclosing block, whichever way control leaves
 * it, except by longjmp(). The argument is evaluated here. */
#define PROM_TIME_SCOPE(histogram)                                                                 \
        __attribute__((cleanup(prom_time_scope_end_), unused)) struct prom_time_scope_             \
        PROM_UNIQUE_(prom_time_) = {histogram, prom_now_ns()}

/* As prom_histogram_observe(), and keeps an exemplar for the classic bucket of v. A histogram
 * without classic buckets keeps the last PROM_NATIVE_EXEMPLARS. In protobuf, a histogram with both
 * kinds of buckets shows its newest PROM_NATIVE_EXEMPLARS with the native buckets as well. The
 * rules are those of prom_counter_add_exemplar(). */
void prom_histogram_observe_exemplar(struct prom_histogram *histogram, double v,
                                     const struct prom_label *labels);

/* The sums of a histogram. `count` is the sum of `buckets`, and `sum` is the sum of exactly these
 * observations. The exception: without restartable sequences, if a debugger stops a thread in the
 * middle of an observation, a snapshot waits for it for one second at most; after that, this
 * observation may be in only one of the two. */
struct prom_snapshot {
        uint64_t count;
        double sum;
        size_t n_buckets;                       /* without +Inf */
        uint64_t buckets[PROM_BUCKETS_MAX + 1]; /* not cumulative; +Inf is last */
        int64_t created_ms; /* since 1970: when the series was created, came back or was reset */
};
void prom_histogram_snapshot(const struct prom_histogram *histogram,
                             struct prom_snapshot *ret_snapshot);

/* The native buckets. With base = 2^(2^-schema), bucket i holds the values > base^(i-1) and <=
 * base^i; a negative bucket, the values whose absolute value is. The bounds are bit for bit those
 * of Prometheus and client_golang, which are not always the closest doubles. */
struct prom_native_bucket {
        int32_t index;
        uint64_t count;
};

struct prom_native_snapshot {
        int schema; /* -4 to 8 */
        double zero_threshold;
        uint64_t zero_count;
        uint64_t count; /* the sum of all, zero_count included */
        double sum;
        int64_t created_ms;
        size_t n_positive, n_negative;
        /* only populated ones: the positive by index, then the negative by index */
        struct prom_native_bucket buckets[PROM_NATIVE_BUCKETS_MAX];
};

/* 0; -EINVAL, with nothing written, if the histogram is NULL or has no native buckets; -ENOMEM. */
int prom_histogram_native_snapshot(const struct prom_histogram *histogram,
                                   struct prom_native_snapshot *ret_snapshot);

/* ---- summaries -------------------------------------------------------------------------- */

/* v must be finite. */
void prom_summary_observe(struct prom_summary *summary, double v);
void prom_summary_observe_since_ns(struct prom_summary *summary, uint64_t start_ns);

/* As PROM_TIME_SCOPE(). */
#define PROM_SUMMARY_TIME_SCOPE(summary)                                                           \
        __attribute__((cleanup(prom_summary_time_scope_end_),                                      \
                       unused)) struct prom_summary_time_scope_                                    \
        PROM_UNIQUE_(prom_time_) = {summary, prom_now_ns()}

/* Quantiles cover about the last max_age_s: scrapes and snapshots store the counts, at most five
 * times per max_age_s, and quantiles are computed from the difference to the newest stored counts
 * that are at least max_age_s old. With frequent scrapes that is up to a fifth more than max_age_s.
 * Until such counts exist, quantiles cover all observations, or those since the first scrape once
 * the summary is older than max_age_s.
 *
 * The error is at most 1.1 % of the value (a factor of 2^(1/64)) while all values fall into
 * PROM_SKETCH_BUCKETS_MAX buckets that grow by 2^(1/32); with more, the width of the buckets
 * doubles. A quantile is that of the nearest rank, and NaN without observations. Prefer histograms:
 * quantiles of several processes cannot be combined. */
struct prom_quantile_snapshot {
        uint64_t count;
        double sum;
        int64_t created_ms;
        size_t n_quantiles;
        double quantiles[PROM_QUANTILES_MAX]; /* as in prom_desc */
        double values[PROM_QUANTILES_MAX];
};
/* 0; -EINVAL, with nothing written, if the summary is NULL; -ENOMEM. */
int prom_summary_snapshot(struct prom_summary *summary,
                          struct prom_quantile_snapshot *ret_snapshot);

/* ---- info and state sets ---------------------------------------------------------------- */

/* prom_info_with() creates an info. prom_info_set() creates it and removes all others of the family
 * (of a curried family, those of the view). A concurrent scrape shows the old ones, the new one, or
 * none, but never the new one together with one that it replaced, except when the family is full
 * and the new one is the overflow series. */
#define prom_info_set(...) PROM_CALL_(prom_info_set_values, __VA_ARGS__)
struct prom_info *prom_info_set_values(struct prom_family *family, const char *const *values,
                                       size_t n);

/* Sets whether state number `state` of prom_desc.states holds. prom_stateset_choose() makes it the
 * only one that holds, atomically. A number without a state is counted as an ignored update. */
void prom_stateset_set(struct prom_stateset *stateset, size_t state, int holds);
void prom_stateset_choose(struct prom_stateset *stateset, size_t state);
uint64_t prom_stateset_value(const struct prom_stateset *stateset); /* bit i is state i */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
