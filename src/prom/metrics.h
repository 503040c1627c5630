/* SPDX-License-Identifier: Apache-2.0 */
/* Registries, metrics and their updates. Part of prom.h, which explains the words and the rules. */
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
        PROM_NAME_MAX = 200,               /* bytes of a metric or label name */
        PROM_HELP_MAX = 1000,              /* bytes of a help text */
        PROM_LABELS_MAX = 16,              /* labels of a family, const ones included */
        PROM_LABEL_VALUE_MAX = 512,        /* bytes of a label value; a longer one is cut */
        PROM_BUCKETS_MAX = 250,            /* buckets of a histogram, +Inf not counted */
        PROM_SERIES_DEFAULT = 1000,        /* series of a family that does not say */
        PROM_SERIES_MAX = 1 << 20,         /* series of a family, at most */
        PROM_FAMILIES_MAX = 10000,         /* families of a registry, without its own */
        PROM_CELLS_MAX = 1 << 23,          /* words of all registries together: a counter takes 2,
                                              a histogram 2 + 2 times its buckets; past it new label
                                              values get the overflow series, NULL if there is none
                                              yet */
        PROM_UNIT_MAX = 32,                /* bytes of a unit */
        PROM_STATES_MAX = 64,              /* states of a state set */
        PROM_QUANTILES_MAX = 16,           /* quantiles of a summary */
        PROM_NATIVE_BUCKETS_DEFAULT = 160, /* of a native histogram that does not say */
        PROM_NATIVE_BUCKETS_MAX = 1024,    /* populated buckets of a native histogram, at most */
        PROM_EXEMPLAR_LABELS_MAX = 8,      /* labels of an exemplar */
        PROM_EXEMPLAR_RUNES_MAX = 128,     /* UTF-8 characters of all its values and names, as these
                                              are or escaped */
        PROM_NATIVE_EXEMPLARS = 10,        /* exemplars of a histogram with native buckets alone */
        PROM_SKETCH_BUCKETS_MAX = 1024,    /* populated buckets of a summary's sketch */
        PROM_CURRIED_MAX = 1024,           /* curried families of a family */
        PROM_TOMBSTONES_FACTOR = 16, /* times max_series: the series a family holds at most, removed
                                        and hidden ones included; past it: see overflow above */
        PROM_KEPT_FACTOR = 4, /* times max_series: the removed series that can come back at most */
        PROM_HANDLE_GRACE_S = 60, /* for so long those that cannot are left alone */
};

struct prom_error {
        char msg[PROM_ERROR_MAX];
};

/* ---- registries ------------------------------------------------------------------------- */

struct prom_registry;
struct prom_family;

/* A new, empty registry. NULL when there is no memory. */
struct prom_registry *prom_registry_new(void);

/* Frees the registry and all its families and handles. NULL is fine; the default registry is not
 * freed. No thread may still use any of it. */
void prom_registry_free(struct prom_registry *registry);

/* The registry of the process, made at first use; never NULL (it lives in static memory). */
struct prom_registry *prom_default_registry(void);

/* Makes all series begin anew, at 0 and created now; handles stay good, removed series stay removed,
 * infos stay as they are, collectors are not concerned. For the child of a fork() in a server that
 * forks its workers: without it each worker goes on from the values of the parent, and their sum
 * counts these once per worker (docs/prom.md, "Servers that fork"). Updates by other threads at that
 * moment fall on either side of it. 0; -ENOMEM, with some of the series as they were. */
int prom_registry_reset(struct prom_registry *registry);

/* The family of that name, or NULL. Of several with different const labels the first that was
 * registered. */
struct prom_family *prom_registry_find(struct prom_registry *registry, const char *name);

/* ---- declaring metrics ------------------------------------------------------------------ */

enum prom_kind {
        PROM_COUNTER = 1, /* only grows; name it ..._total */
        PROM_GAUGE,       /* goes up and down */
        PROM_HISTOGRAM,   /* observations counted in buckets, classic, native or both */
        PROM_SUMMARY,     /* sum and count of observations, and quantiles of the recent ones */
        PROM_INFO,        /* always 1, what it says is in its labels; name it ..._info */
        PROM_STATESET,    /* which of some named states hold */
};

struct prom_label {
        const char *name;
        const char *value;
};

/* Names. [a-zA-Z_:][a-zA-Z0-9_:]* for a metric and [a-zA-Z_][a-zA-Z0-9_]* for a label are read by
 * every scraper. Any other UTF-8 of at most PROM_NAME_MAX bytes may be used too ("http.status"), as
 * since Prometheus 3.0; other scrapers get it escaped (enum prom_escaping). Labels must not begin
 * with "__", as they are or by PROM_ESCAPE_UNDERSCORES (as "\u00e9\u00e9" would), nor may the name of
 * a state set, which is one; nor be "le" in a histogram or "quantile" in a summary.
 *
 * A name may be registered several times with other values of its const labels, if kind, help, unit
 * and the names of all labels agree: to scrapers these are one metric.
 *
 * Two metrics cannot be in one registry if a name of one, with or without a suffix its kind may
 * have in any format (_total, _created, _bucket, _sum, _count, _info), is one of the other, as it is
 * or escaped: "a.b" and "a_b" are the same to scrapers that know no UTF-8, which would refuse the
 * whole scrape. Nor can two such labels be in one metric.
 */

/* What a metric is. Meant to be a row of a const table from which a program registers its metrics
 * and makes its documentation. Only kind, name and help have to be set. */
struct prom_desc {
        enum prom_kind kind;
        const char *name;          /* see "Names" above */
        const char *help;          /* UTF-8, one sentence */
        const char *const *labels; /* names, ended by NULL; NULL for none */
        const double *buckets;     /* histogram: upper bounds, finite and increasing; a +Inf at
                                      the end is allowed and implied; NULL for the default ones,
                                      or for none if native_factor is set */
        size_t n_buckets;          /* of them; PROM_BUCKETS() sets both */
        const struct prom_label *const_labels; /* the same for all series, ended by a NULL name */
        size_t max_series;                     /* 0: PROM_SERIES_DEFAULT */
        const char *unit;      /* for OpenMetrics: [a-zA-Z0-9_:]+, and the name (without the
                                  _total of a counter) ends with "_" and it. NULL for none; not
                                  for an info or a state set */
        double idle_timeout_s; /* a series whose value did not change for so long, as compared at
                                  scrapes, is not shown any more until it changes. 0: never */
        bool idle_remove; /* then it is removed instead, as by prom_remove(), and its memory can
                                  be used again: for a family whose handles are fetched for each
                                  use. Without it a family keeps all series that ever were */

        /* A native histogram (sparse, exponential): each bucket is at most native_factor times as
         * wide as the one before; > 1, 1.1 is common. 0: none. The meanings are client_golang's. */
        double native_factor;
        size_t native_max_buckets;        /* 0: PROM_NATIVE_BUCKETS_DEFAULT */
        double native_zero_threshold;     /* |v| <= it counts as zero. 0: 2^-128; < 0: 0 */
        double native_max_zero_threshold; /* the threshold may be widened up to it */
        double native_min_reset_s; /* a histogram with too many buckets is reset if so long ago it
                                      was the last time. 0: never */

        const double *quantiles; /* summary: each in [0, 1], increasing; NULL for none */
        size_t n_quantiles;
        double max_age_s; /* quantiles are of the observations of so long. 0: 600 */

        const char *const *states; /* state set: at most PROM_STATES_MAX names, ended by NULL. They
                                      become values of a label named as the metric */
};

/* Members of a struct prom_desc, for C:
 *
 *     {.kind = PROM_HISTOGRAM, .name = "app_request_bytes", .help = "Bytes of a request.",
 *      .labels = PROM_LABELS("method", "code"), PROM_BUCKETS(100, 1000, 10000)}
 *
 * The arrays live as long as the block around them, at file scope for ever. Registering copies them. */
#ifndef __cplusplus
#define PROM_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PROM_BUCKETS(...)                                                                          \
        .buckets = (const double[]){__VA_ARGS__},                                                  \
        .n_buckets = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)
#endif

/* 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10, as all Prometheus clients have them. */
enum { PROM_DEFAULT_BUCKETS = 11 };
extern const double prom_default_buckets[PROM_DEFAULT_BUCKETS];

/* start, start + width, … (n of them). -EINVAL, and nothing written, if the bounds would not
 * increase or n is 0 or above PROM_BUCKETS_MAX. */
int prom_linear_buckets(double start, double width, size_t n, double *ret_buckets);

/* start, start * factor, start * factor^2, … (n of them). -EINVAL as above. */
int prom_exponential_buckets(double start, double factor, size_t n, double *ret_buckets);

/* Adds a family to the registry.
 * -EINVAL   a name, label, help or bucket is not valid
 * -EEXIST   the name is taken (with the same const labels), or collides: see "Names"
 * -ENOSPC   PROM_FAMILIES_MAX or PROM_CELLS_MAX is reached
 * -ENOMEM
 * ret_family may be NULL; it is not touched on failure. */
int prom_register(struct prom_registry *registry, const struct prom_desc *desc,
                  struct prom_family **ret_family, struct prom_error *error);

/* As prom_register() for n of them, all or none. ret_families: n pointers, or NULL. */
int prom_register_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                      struct prom_family **ret_families, struct prom_error *error);

/* As prom_register_all(), but a family that is there with the same kind, labels, const labels,
 * buckets, quantiles and states is taken as it is; -EEXIST with the name if one differs. For an
 * object of which a process may make several, all counting into the same metrics. */
int prom_obtain_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                    struct prom_family **ret_families, struct prom_error *error);

/* Look-ups that went to the overflow series, and updates ignored, of this family; 0 of NULL. */
uint64_t prom_family_overflows(const struct prom_family *family);
uint64_t prom_family_ignored(const struct prom_family *family);

/* ---- handles ---------------------------------------------------------------------------- */

struct prom_counter;
struct prom_gauge;
struct prom_histogram;
struct prom_summary;
struct prom_info;
struct prom_stateset;

/* The series with these label values, in the order of prom_desc.labels; made if it is not there.
 *
 *     prom_counter_with(family)                    a family without labels
 *     prom_counter_with(family, "python", "ok")    one with two
 *
 * A NULL value is "". Bytes that are not UTF-8 become U+FFFD, values beyond PROM_LABEL_VALUE_MAX
 * are cut. NULL (which every update takes) if the family is NULL, of another kind, fed by a
 * collector, or has another number of labels; NULL too if there is no memory, or no cell (see
 * PROM_CELLS_MAX), for a new series and the family has no overflow series yet. */
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

/* A removed series is not shown by scrapes that begin later. Its handles stay good memory: updates
 * through them change nothing that is shown and are counted as ignored (those of a counter by what
 * was added, rounded up) when a scrape, or prom_..._with(), finds them. When the same label values
 * are fetched again the series comes back under the same handle, at 0 and with a new time of
 * creation. Updates that run beside a removal may fall on either side of it. The fractions of a
 * series that came back are as exact as a double holding those of all its lives, and stay infinite
 * once that has overflowed; so does the sum of a histogram of classic buckets alone. Read back, a
 * removed series is 0.
 *
 * So a removed series keeps its memory, some hundred bytes and its cells, but not for ever: of more
 * than PROM_KEPT_FACTOR times max_series removed ones (and of any, while a family is nearly full) the
 * first do not come back, and PROM_HANDLE_GRACE_S later at the earliest new label values get their
 * memory (if no prom_visit() is under way). Until then updates through the handles are ignored as
 * ever; a handle that is used even later counts for the series that has taken the place. That is the one promise asked of a program: it does not go on using a handle for more than
 * PROM_HANDLE_GRACE_S after it had the series removed. Families of which none is removed need not care. Label values may thus come and go for ever, up to 10 times
 * max_series of them in PROM_HANDLE_GRACE_S; choose it accordingly.
 *
 * One that is hidden as idle is kept for good unless prom_desc.idle_remove says otherwise. Those of a
 * collector are not to be removed. The functions take a lock and may be called by any thread. */

/* Removes one series. 0; -ENOENT if there is none with these values; -EINVAL (and counted as
 * ignored) for another number of values than the family has labels, or a family of a collector;
 * -ENOMEM, which the others may return too. */
#define prom_remove(...) PROM_CALL_(prom_remove_values, __VA_ARGS__)
int prom_remove_values(struct prom_family *family, const char *const *values, size_t n);

/* Removes all series that have these labels, a list ended by a NULL name. Their number, which may
 * be 0; -EINVAL (and counted as ignored) if the family has no such label. */
int prom_remove_partial(struct prom_family *family, const struct prom_label *labels);

/* Removes all series. Their number. */
int prom_clear(struct prom_family *family);

/* ---- curried families ------------------------------------------------------------------- */

/* A view of the family with some of its labels set: prom_..._with(), prom_remove...() and
 * prom_clear() on it take or concern the rest. Its look-up costs what that of a family with so many
 * labels does. The view belongs to the family and lives as long; make it once and keep it: the
 * same labels give the same view, but take a lock and a search. Views of views are fine.
 * -EINVAL   no label of that name, one given twice, or a family of a collector
 * -ENOSPC   PROM_CURRIED_MAX is reached
 * -ENOMEM */
int prom_curry(struct prom_family *family, const struct prom_label *labels,
               struct prom_family **ret_family, struct prom_error *error);

/* ---- counters --------------------------------------------------------------------------- */

void prom_counter_inc(struct prom_counter *counter);

/* Adds a whole number. */
void prom_counter_add_int(struct prom_counter *counter, uint64_t n);

/* Adds v >= 0. Whole numbers are counted exactly up to 2^64, the rest as a double. */
void prom_counter_add(struct prom_counter *counter, double v);

/* The sum over all threads. Never less than an earlier call on the same thread returned. */
double prom_counter_value(const struct prom_counter *counter);

/* As prom_counter_add(), and keeps the labels (a list ended by a NULL name, NULL for none), v and the
 * time as the exemplar of the series in place of the one before: a trace id, say. An exemplar is a
 * sample: it is dropped, and v counted all the same, if another thread is at the exemplars in this
 * moment. One with more than PROM_EXEMPLAR_RUNES_MAX characters or PROM_EXEMPLAR_LABELS_MAX labels, or
 * one that is not UTF-8 or has a name that is none or meets another (see "Names"), is dropped and
 * counted as ignored. Takes a lock without waiting for it, and may allocate. */
void prom_counter_add_exemplar(struct prom_counter *counter, double v,
                               const struct prom_label *labels);

/* Inline: int prom_count_failure(struct prom_counter *counter, int result)
 *
 * Counts a failure by its return value: returns result, having counted one if it is negative.
 *
 *     int r = prom_count_failure(errors, store_write(store, record)); */

/* ---- gauges ----------------------------------------------------------------------------- */

/* Inline: void prom_gauge_set(struct prom_gauge *gauge, double v)
 *
 * Any double, NaN and the infinities included. add and sub are exact under concurrency. */
void prom_gauge_add(struct prom_gauge *gauge, double v);
void prom_gauge_sub(struct prom_gauge *gauge, double v);
void prom_gauge_inc(struct prom_gauge *gauge);
void prom_gauge_dec(struct prom_gauge *gauge);
double prom_gauge_value(const struct prom_gauge *gauge);

/* The time of day in seconds since 1970; the seconds since a time of prom_now_ns(). */
void prom_gauge_set_to_now(struct prom_gauge *gauge);
void prom_gauge_set_since_ns(struct prom_gauge *gauge, uint64_t start_ns);

/* One more until the end of the enclosing block, however it is left (but for longjmp()):
 *
 *     PROM_IN_PROGRESS_SCOPE(in_flight);
 */
#define PROM_IN_PROGRESS_SCOPE(gauge)                                                              \
        __attribute__((cleanup(prom_in_progress_end_), unused)) struct prom_gauge *PROM_UNIQUE_(   \
                prom_in_progress_) = prom_in_progress_begin_(gauge)

/* ---- histograms ------------------------------------------------------------------------- */

/* Counts v in the first bucket whose bound is >= v ("le"), else in +Inf. v must be finite. */
void prom_histogram_observe(struct prom_histogram *histogram, double v);

/* CLOCK_MONOTONIC in nanoseconds, and the seconds since such a time observed. */
uint64_t prom_now_ns(void);
void prom_histogram_observe_since_ns(struct prom_histogram *histogram, uint64_t start_ns);

/* Observes the seconds until the end of the enclosing block, however it is left (but for
 * longjmp()). The histogram is fixed at the beginning. */
#define PROM_TIME_SCOPE(histogram)                                                                 \
        __attribute__((cleanup(prom_time_scope_end_), unused)) struct prom_time_scope_             \
        PROM_UNIQUE_(prom_time_) = {histogram, prom_now_ns()}

/* As prom_histogram_observe(), and keeps an exemplar for the bucket of v (a histogram with native
 * buckets alone keeps the last PROM_NATIVE_EXEMPLARS): see prom_counter_add_exemplar(). In protobuf a
 * histogram of both has the newest PROM_NATIVE_EXEMPLARS beside its native buckets too. */
void prom_histogram_observe_exemplar(struct prom_histogram *histogram, double v,
                                     const struct prom_label *labels);

/* A histogram summed over all threads. `count` is the sum of `buckets` by construction, and `sum`
 * belongs to exactly these observations. (Without restartable sequences a thread that a debugger stops
 * in the very middle of an observation holds a snapshot up for a second; then this observation may be
 * in one and not yet in the other.) */
struct prom_snapshot {
        uint64_t count;
        double sum;
        size_t n_buckets;                       /* without +Inf */
        uint64_t buckets[PROM_BUCKETS_MAX + 1]; /* each by itself, not cumulative; +Inf is last */
        int64_t created_ms; /* since 1970; when it was made, came back or was reset */
};
void prom_histogram_snapshot(const struct prom_histogram *histogram,
                             struct prom_snapshot *ret_snapshot);

/* The native buckets. Bucket i holds what is > base^(i-1) and <= base^i with base = 2^(2^-schema),
 * for a negative bucket of the absolute value. These bounds are to the last bit those of Prometheus and
 * client_golang, which are not always the closest doubles. */
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
        /* populated ones only: the positive by index, then the negative by index */
        struct prom_native_bucket buckets[PROM_NATIVE_BUCKETS_MAX];
};

/* 0; -EINVAL, and nothing written, if the histogram is NULL or has no native buckets; -ENOMEM. */
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

/* Quantiles are of the observations since the last of five looks (scrapes or snapshots) in max_age_s
 * that is at least max_age_s ago, so of up to a fifth more than that if looks are frequent; before
 * there is one, of all, or since the first look once the summary is older than max_age_s. They are
 * wrong by at most 1.1 % of their value (a factor of 2^(1/64)), as long as all values fall into
 * PROM_SKETCH_BUCKETS_MAX buckets that grow by 2^(1/32); beyond, the buckets double in width. A
 * quantile is that of the nearest rank, NaN if there were no observations. Prefer a histogram:
 * quantiles of several processes cannot be added up. */
struct prom_quantile_snapshot {
        uint64_t count;
        double sum;
        int64_t created_ms;
        size_t n_quantiles;
        double quantiles[PROM_QUANTILES_MAX]; /* as in prom_desc */
        double values[PROM_QUANTILES_MAX];
};
/* 0; -EINVAL, and nothing written, if the summary is NULL; -ENOMEM. */
int prom_summary_snapshot(struct prom_summary *summary,
                          struct prom_quantile_snapshot *ret_snapshot);

/* ---- info and state sets ---------------------------------------------------------------- */

/* An info is there once prom_info_with() was called. prom_info_set() makes it and removes all others
 * of the family (of a curried one: those with its labels). A scrape beside it shows those of before,
 * the new one or none, but not the new one beside one it replaced (unless the family is full and the
 * new one the overflow series). */
#define prom_info_set(...) PROM_CALL_(prom_info_set_values, __VA_ARGS__)
struct prom_info *prom_info_set_values(struct prom_family *family, const char *const *values,
                                       size_t n);

/* State number `state` of prom_desc.states holds, or not. prom_stateset_choose() makes it the only
 * one, in one step that no scrape sees half of. A number that is no state's is ignored and counted.
 */
void prom_stateset_set(struct prom_stateset *stateset, size_t state, int holds);
void prom_stateset_choose(struct prom_stateset *stateset, size_t state);
uint64_t prom_stateset_value(const struct prom_stateset *stateset); /* bit i is state i */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
