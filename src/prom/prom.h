/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Prometheus client for programs in C: counters, gauges, histograms (classic and native),
 * summaries, infos and state sets.
 *
 * Needs libc and POSIX threads, and a codec where scrapes are to be compressed. Knows no HTTP server:
 * it writes the body of a scrape into memory (prom_render_text() and its sisters), or makes the whole
 * answer to a request out of its headers (struct prom_handler).
 *
 *     enum { REQUESTS, IN_FLIGHT, LATENCY, N_METRICS };     // at file scope, for the literals' sake
 *     static const struct prom_desc metrics[N_METRICS] = {
 *             [REQUESTS] = {.kind = PROM_COUNTER, .name = "app_requests_total",
 *                           .help = "Requests answered.",
 *                           .labels = PROM_LABELS("method", "status")},
 *             [IN_FLIGHT] = {.kind = PROM_GAUGE, .name = "app_requests_in_flight",
 *                            .help = "Requests being answered."},
 *             [LATENCY] = {.kind = PROM_HISTOGRAM, .name = "app_request_seconds",
 *                          .help = "Time to answer a request."},
 *     };
 *     static struct prom_family *family[N_METRICS];
 *
 *     struct prom_error error;
 *     if (prom_register_all(prom_default_registry(), metrics, N_METRICS, family, &error) < 0)
 *             errx(1, "%s", error.msg);
 *
 *     struct prom_histogram *latency = prom_histogram_with(family[LATENCY]);
 *     uint64_t start = prom_now_ns();
 *     ...
 *     prom_counter_inc(prom_counter_with(family[REQUESTS], "GET", "200"));
 *     prom_histogram_observe_since_ns(latency, start);
 *
 *     struct prom_buf body = PROM_BUF_INIT;           // keep it: the next scrape reuses its memory
 *     if (prom_render_text(prom_default_registry(), &body) == 0)
 *             send(fd, body.data, body.len, 0);
 *
 * Words. A *family* is one metric name with its help, kind and label names. A *series* is a family
 * with one set of label values; a family without labels has exactly one, which exists (at 0) from
 * registration on. A *handle* (struct prom_counter *, prom_gauge *, prom_histogram *, …) names a
 * series. Fetch handles once where the label values are known beforehand; that also makes the
 * series appear at 0, as it should.
 *
 * Ownership. A registry owns its families, a family its series. Families and handles are plain
 * pointers that stay valid until prom_registry_free(); nothing else frees them and nothing needs
 * to be given back. Updates through the handle of a series that was removed are ignored and counted,
 * until the series is fetched again; for how long that holds stands at "removing series". Every
 * string handed in is copied.
 *
 * Threads. Any thread may call any function at any time, with two exceptions: prom_registry_free()
 * must be the last use of the registry and of its handles, and a struct prom_buf belongs to one
 * thread at a time. Nothing here is safe in a signal handler.
 *
 * Counters, histograms and summaries are updated in memory of the processor that the thread runs on, by
 * restartable sequences: without a lock, an atomic operation or an allocation, and without waiting for
 * a scrape. Memory and the time of a scrape grow with the processors in use, not with the threads, and
 * a thread that ends leaves nothing behind. Exceptions: the first update on a processor reserves 64
 * MiB of address space, of which it takes what is counted there; with native buckets and summaries, the
 * first update of a series on a processor, and one that needs a new bucket, allocate. Both take a
 * lock. Restartable sequences need x86-64 with AVX, the GNU C library from 2.35 on and Linux from 4.18
 * on, better 6.3, and can be switched off (GLIBC_TUNABLES=glibc.pthread.rseq=0, seccomp). Without
 * them each update locks one of as many such memories as there are processors, one that no other
 * thread has at the moment, which takes some 20 ns.
 *
 * Fetching a handle takes a lock only to create a series or to show it again (which needs 16 KiB of
 * stack; registering, scraping and prom_info_set() need 32). A scrape holds a lock while it makes the
 * texts of new series, for some hundred of them at a time, and none while it renders.
 *
 * fork(). The child goes on with the parent's values as they were, until prom_registry_reset().
 * Locks are carried over fork(); vfork() and posix_spawn() followed by exec need nothing.
 *
 * Misuse is never undefined: an update that cannot be meant (a counter made smaller, a NaN or an
 * infinity for a counter, histogram or summary, a state a set does not have, an exemplar that is
 * none), an update of a removed series (see there for how long), a handle fetched for another kind or with another number of
 * label values than the family has, and a bad sample from a collector are no-ops, counted in
 *     prom_ignored_updates_total{family="..."}
 * Updating a NULL handle does nothing, so code whose metrics were never registered runs on.
 *
 * Bounds. A family has at most prom_desc.max_series series. Past that, prom_..._with() hands out
 * one more series, whose label values are all "overflow", and counts each such look-up in
 *     prom_series_overflow_total{family="..."}
 * Removed and idle series make room for others; the memory of removed ones is used again once there
 * are many. With them a family holds PROM_TOMBSTONES_FACTOR times max_series at most.
 * Both counters belong to every registry and show a family from its first such event on. The other
 * bounds stand in the enum below.
 *
 * Errors. Functions that can fail return 0 or a negative errno and leave one line for a person in
 * the struct prom_error (NULL is allowed), which names the metric.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where C++ has exceptions, none passes through the library: those of a collector end there, those
 * of prom_visit()'s callback leave prom_visit() once it is done. */
#if defined(__cplusplus) && defined(__cpp_exceptions)
#include <cxxabi.h>
#include <exception>
#define PROM_CATCHES_ 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What this header declares is what the shared library exports. */
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
 * PROM_CELLS_MAX), for a new series and the family has no overflow series yet.
 *
 * A call with up to 4 values, all literals, keeps its series at its place in the program and costs
 * hardly more than a handle. */
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
 * PROM_HANDLE_GRACE_S after it had the series removed. Families of which none is removed, and
 * calls with literals, need not care. Label values may thus come and go for ever, up to 10 times
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

/* Counts a failure by its return value: returns result, having counted one if it is negative.
 *
 *     int r = prom_count_failure(errors, store_write(store, record)); */
static inline int prom_count_failure(struct prom_counter *counter, int result);

/* ---- gauges ----------------------------------------------------------------------------- */

/* Any double, NaN and the infinities included. add and sub are exact under concurrency. */
static inline void prom_gauge_set(struct prom_gauge *gauge, double v);
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

/* ---- metrics computed at scrape time ---------------------------------------------------- */

struct prom_emitter;
struct prom_collector;

/* Called in each scrape, on a thread made for the collectors of that scrape, never twice at once for
 * one registry. Calls prom_emit() for each sample. It may update and register metrics; it must not
 * render its own registry, nor remove a collector.
 *
 * A collector that fails costs the scrape its own families and nothing else:
 * - If it ends its thread (pthread_exit(), cancellation), or throws (where C++ registered it), its
 *   samples of this scrape are dropped.
 * - If it does not return within PROM_COLLECT_TIMEOUT_S (prom_render_options.collect_timeout_s), the
 *   scrape goes on without it, and so do later ones, without waiting, until it has returned. The
 *   scrape that ran into the timeout calls the other collectors a second time.
 * Both count in prom_collect_failures_total{family="..."}, which shows a family from its first
 * failure on. A collector must not leave by longjmp(). */
typedef void prom_collect_fn(struct prom_emitter *emitter, void *data);

enum { PROM_COLLECT_TIMEOUT_S = 5 }; /* for each collector */

/* Registers the families (counters, gauges and histograms of classic buckets) that `collect` feeds.
 * Errors as prom_register_all(), and -EINVAL for other kinds. */
#ifndef PROM_CATCHES_ /* C++ has these two inlined, below */
int prom_register_collector(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            prom_collect_fn *collect, void *data,
                            struct prom_collector **ret_collector, struct prom_error *error);
#endif

/* The value of a counter or gauge without labels, asked for in each scrape as a collector is. Errors
 * as prom_register(); -EINVAL for other kinds and for labels (const ones are fine). */
typedef double prom_value_fn(void *data);
#ifndef PROM_CATCHES_
int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                        prom_value_fn *value, void *data, struct prom_collector **ret_collector,
                        struct prom_error *error);
#endif

/* Takes the collector and its families out again; on return `collect` is not running and will not
 * be called: it waits for one that runs, however long that takes. NULL is fine. The families keep their memory, which collectors with the same ones use
 * again. */
void prom_collector_remove(struct prom_collector *collector);

/* One sample of the family descs[index], with the values of its labels. A second sample with the
 * same labels in one scrape, a counter below 0 or NaN, a wrong index or number of values are
 * ignored and counted; samples past max_series are dropped and counted as overflow. */
#define prom_emit(emitter, index, ...)                                                             \
        PROM_PASTE_(PROM_EMIT_, PROM_HAS_VALUES_(__VA_ARGS__))(emitter, index, __VA_ARGS__)
void prom_emit_values(struct prom_emitter *emitter, size_t index, double v,
                      const char *const *values, size_t n);

/* The same for a histogram that is kept elsewhere: the counts of its buckets, each by itself, that of
 * +Inf last, and the sum of what was observed (any number). Another number of counts than the family
 * has buckets is ignored and counted. */
#define prom_emit_histogram(emitter, index, counts, n_counts, ...)                                 \
        PROM_PASTE_(PROM_EMIT_HISTOGRAM_, PROM_HAS_VALUES_(__VA_ARGS__))                           \
        (emitter, index, counts, n_counts, __VA_ARGS__)
void prom_emit_histogram_values(struct prom_emitter *emitter, size_t index, const uint64_t *counts,
                                size_t n_counts, double sum, const char *const *values, size_t n);

/* process_cpu_seconds_total, process_open_fds, process_max_fds, process_virtual_memory_bytes,
 * process_virtual_memory_max_bytes, process_resident_memory_bytes, process_start_time_seconds,
 * process_network_receive_bytes_total and process_network_transmit_bytes_total (of IP in the network
 * namespace), process_threads, from /proc/self. What cannot be read is left out. */
int prom_register_process_collector(struct prom_registry *registry, struct prom_error *error);

/* An info that carries the labels, by custom called NAME_build_info:
 *     {{"version", VERSION}, {"revision", REVISION}, {"compiler", PROM_COMPILER},
 *      {"c_standard", PROM_C_STANDARD}, {NULL, NULL}} */
int prom_register_build_info(struct prom_registry *registry, const char *name,
                             const struct prom_label *labels, struct prom_error *error);

/* What compiles the file that says so: "gcc 12.2.0", "201710L". */
#ifdef __clang__
#define PROM_COMPILER __VERSION__
#else
#define PROM_COMPILER "gcc " __VERSION__
#endif
#ifdef __cplusplus
#define PROM_C_STANDARD PROM_STRING_(__cplusplus)
#else
#define PROM_C_STANDARD PROM_STRING_(__STDC_VERSION__)
#endif
#define PROM_STRING_(x) PROM_STRING_OF_(x)
#define PROM_STRING_OF_(x) #x

/* ---- scraping --------------------------------------------------------------------------- */

#define PROM_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What a scrape looks like. */
enum prom_format_kind {
        PROM_TEXT_0_0_4, /* the classic text format, which everything reads */
        PROM_TEXT_1_0_0, /* the same, but names may be quoted, thus be any UTF-8 */
        PROM_OPENMETRICS_1_0_0,
        PROM_PROTOBUF_DELIMITED, /* io.prometheus.client.MetricFamily, each after its length; the
                                    only one with native histograms */
};

/* What becomes of a metric or label name that is not made of [a-zA-Z0-9_:] alone. */
enum prom_escaping {
        PROM_ESCAPE_UNDERSCORES, /* http.status -> http_status */
        PROM_ESCAPE_DOTS,        /* http.status -> http_dot_status, a_b.c -> a__b_dot_c */
        PROM_ESCAPE_VALUES,      /* http.status -> U__http_2e_status, can be undone */
        PROM_ALLOW_UTF8,         /* stays as it is, in quotes; not in text 0.0.4 */
};

struct prom_format {
        enum prom_format_kind kind;
        enum prom_escaping escaping;
};

/* The format to answer a request with whose Accept header is `accept` (NULL: it has none). The
 * clause of the highest q counts, of two the more specific, else the first; a parameter repeated
 * counts as it stands first; what is not understood is passed over. Text 0.0.4 when nothing fits.
 * No more than PROM_ACCEPT_MAX bytes are read. */
enum { PROM_ACCEPT_MAX = 4096 };
struct prom_format prom_negotiate(const char *accept);

/* The Content-Type of a body in that format. It names the escaping, but for the default, underscores,
 * in text 0.0.4 and protobuf. */
const char *prom_content_type(struct prom_format format);

/* A body and the memory a scrape works with. Starts as PROM_BUF_INIT; a second scrape into the
 * same one allocates nothing unless there is more to say than before. */
struct prom_buf {
        char *data; /* NUL-terminated after a scrape */
        size_t len; /* the NUL not counted */
        size_t cap;
        struct prom_scratch *scratch;
};

#define PROM_BUF_INIT                                                                              \
        {                                                                                          \
                NULL, 0, 0, NULL                                                                   \
        }

void prom_buf_release(struct prom_buf *buf);

struct prom_render_options {
        /* OpenMetrics: with lines for the times of creation (..._created). Protobuf always says
         * them, text never. */
        bool created;
        /* Only these families, by the name of the family or of one of its samples in any format;
         * collectors of others are not called. A name that is no family's is passed over. */
        const char *const *names;
        size_t n_names; /* 0: all families */
        /* How long to wait for each collector, at most PROM_COLLECT_TIMEOUT_S; 0: that long. */
        double collect_timeout_s;
};

/* Renders the families into buf, replacing what was there. options may be NULL.
 *
 * Families are sorted by name, labels by name with "le" and "quantile" last, series stand in the
 * order they were made, or in the place of one whose memory they got. A family without series is
 * left out. Numbers have the shortest form that
 * reads back the same, whatever the locale. Each series is consistent in itself (bucket +Inf ==
 * _count, and _sum belongs to them); different series are read at slightly different moments.
 *
 * What the formats cannot say: text and OpenMetrics know no native buckets, of which only sum and
 * count are shown; text and protobuf show an info and a state set as gauges. OpenMetrics has no sums
 * and quantiles below 0: the sum (and the count of a histogram) is left out once a family has
 * observed such a value, or if a bound is negative. It calls a counter without _total and an info
 * without _info, and adds that to their samples. Text has no exemplars.
 *
 * The first scrape in a format makes texts for all series, which are kept; names that are not
 * legacy ones have one for each escaping asked for. A later scrape allocates nothing unless there
 * is more to say than before.
 *
 * 0; -ENOMEM, with buf->len 0; -EINVAL for a format there is none of. */
int prom_render(struct prom_registry *registry, struct prom_format format,
                const struct prom_render_options *options, struct prom_buf *buf);

/* prom_render() in text 0.0.4 without options. */
int prom_render_text(struct prom_registry *registry, struct prom_buf *buf);

/* Writes v as prom_render_text() does ("42", "0.1", "1e+21", "+Inf", "-Inf", "NaN"), without a NUL.
 * Returns the length, at most PROM_NUMBER_MAX. (In "le" and "quantile" numbers stand as client_golang
 * has them there: a million is "1e+06", and in OpenMetrics one is "1.0".) */
enum { PROM_NUMBER_MAX = 32 };
size_t prom_format_number(double v, char out[PROM_NUMBER_MAX]);

/* ---- answering scrapes ------------------------------------------------------------------ */

/* What stands between an HTTP server and a registry, without the server: from the headers of a
 * request to the status, the headers and the body of the answer.
 *
 *     struct prom_handler *handler;
 *     if (prom_handler_new(prom_default_registry(), NULL, &handler, &error) < 0)
 *             errx(1, "%s", error.msg);
 *     ...
 *     struct prom_request request = {.accept = ..., .accept_encoding = ..., .timeout = ...};
 *     struct prom_response response;
 *     prom_handler_serve(handler, &request, &response);
 *     ... send response.status, the headers, response.len bytes of response.body ...
 *     prom_response_release(&response);
 *
 * Scrapes that come while one is being rendered wait for the next rendering, which all of them share
 * that want the same format: however many come, at most one more is made, and none shows a state
 * older than its own arrival. So is each compressed form made once. Memory is used again: a scrape
 * that finds no more to say than those before it allocates nothing.
 *
 * Status 406: no coding that the client accepts; 500: no memory; 503: more than max_in_flight
 * scrapes, or no time left. The body says so in a line of plain text.
 *
 * Any thread may serve and release; each response belongs to one thread at a time. Serving waits,
 * for collectors or another rendering. No child of fork() may use a handler that was in use at that
 * moment. */
struct prom_handler;

enum {
        PROM_IN_FLIGHT_DEFAULT = 16,      /* responses of a handler that were not released yet */
        PROM_COMPRESS_MIN_DEFAULT = 1024, /* bytes of a body that is compressed */
        PROM_FILTER_NAMES_MAX = 256,      /* names of a filter */
};

struct prom_handler_options {
        unsigned max_in_flight; /* 0: PROM_IN_FLIGHT_DEFAULT. Bounds the memory of all bodies */
        double timeout_s;       /* of a scrape that does not say, and at most; 0: none */
        size_t compress_min;    /* shorter bodies are not compressed; 0: PROM_COMPRESS_MIN_DEFAULT,
                                   SIZE_MAX: none is */
        bool created;           /* as prom_render_options */
        /* Where the handler's own metrics go, NULL for none: prom_scrapes_total{code},
         * prom_scrapes_in_flight, prom_scrape_duration_seconds (from arrival to the body's being
         * there), prom_scrape_bytes_total{encoding}. */
        struct prom_registry *metrics;
};

/* The registry must outlive the handler. options may be NULL. Errors as prom_obtain_all(). */
int prom_handler_new(struct prom_registry *registry, const struct prom_handler_options *options,
                     struct prom_handler **ret_handler, struct prom_error *error);

/* All responses must have been released. NULL is fine. */
void prom_handler_free(struct prom_handler *handler);

/* Values of headers; a header that comes several times is to be joined by commas. NULL: it was not
 * sent. All of it is borrowed for the time of the call. */
struct prom_request {
        const char *accept;
        const char *accept_encoding;
        const char *timeout;      /* X-Prometheus-Scrape-Timeout-Seconds; nonsense is ignored */
        const char *const *names; /* the arguments name[]: see prom_render_options */
        size_t n_names;           /* 0: all families. More than PROM_FILTER_NAMES_MAX: status 400 */
        uint64_t arrival_ns;      /* prom_now_ns() when it came; 0: now */
};

struct prom_response {
        int status; /* of HTTP */
        const char *content_type;
        const char *content_encoding; /* NULL: send no such header */
        const char *vary;             /* the value of Vary */
        const char *body;
        size_t len;
        struct prom_handler *handler_; /* what is held until the release */
        struct prom_rendering *rendering_;
};

/* Always gives a response. */
void prom_handler_serve(struct prom_handler *handler, const struct prom_request *request,
                        struct prom_response *ret_response);

/* Gives the body back; all pointers of the response are NULL afterwards. */
void prom_response_release(struct prom_response *response);

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

/* ---- the fast path, inlined; nothing below is for callers -------------------------------- */

/* Strict C and C++ cannot leave out the comma before no values, and g++ takes no address of an array
 * without a name. So there are two of each macro: 0_ for a family alone, 1_ for one with values. */
#define PROM_HAS_VALUES_(...)                                                                      \
        PROM_PICK_(__VA_ARGS__, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_,    \
                   1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 0_, 0)
#define PROM_PICK_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, \
                   _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32,      \
                   picked, ...)                                                                    \
        picked
#ifdef __cplusplus
#define PROM_TOO_MANY_VALUES_()                                                                    \
        static_assert(false, "a metric has at most 16 labels (PROM_LABELS_MAX)")
#else
#define PROM_TOO_MANY_VALUES_()                                                                    \
        _Static_assert(0, "a metric has at most 16 labels (PROM_LABELS_MAX)")
#endif
#define PROM_PASTE_(a, b) PROM_PASTE_EXPANDED_(a, b)
#define PROM_PASTE_EXPANDED_(a, b) a##b

#define PROM_VALUES_HERE_(...) const char *const prom_values_here_[] = {__VA_ARGS__}
#define PROM_N_VALUES_HERE_ (sizeof(prom_values_here_) / sizeof(prom_values_here_[0]))

/* With PROM_DEBUG, look-ups of another kind or number of values than the family has abort, naming
 * the place; without, they give NULL and are counted. kind 0: any. */
void prom_check_use_(const struct prom_family *family, int kind, size_t n_values, const char *file,
                     int line);
#ifdef PROM_DEBUG
#define PROM_CHECK_USE_(family_, kind_, n_)                                                        \
        prom_check_use_(family_, (int)(kind_), n_, __FILE__, __LINE__)
#else
#define PROM_CHECK_USE_(family_, kind_, n_) (void)0
#endif
enum {
        PROM_KIND_OF_prom_info_with_values = PROM_INFO,
        PROM_KIND_OF_prom_info_set_values = PROM_INFO,
        PROM_KIND_OF_prom_stateset_with_values = PROM_STATESET,
        PROM_KIND_OF_prom_remove_values = 0,
};

#define PROM_CALL_(call, ...)                                                                      \
        PROM_PASTE_(PROM_CALL_, PROM_HAS_VALUES_(__VA_ARGS__))(call, __VA_ARGS__)
#define PROM_CALL_0_(call, family)                                                                 \
        __extension__({                                                                            \
                struct prom_family *prom_family_here_ = (family);                                  \
                PROM_CHECK_USE_(prom_family_here_, PROM_KIND_OF_##call, 0);                        \
                call(prom_family_here_, NULL, 0);                                                  \
        })
#define PROM_CALL_1_(call, family, ...)                                                            \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                struct prom_family *prom_family_here_ = (family);                                  \
                PROM_CHECK_USE_(prom_family_here_, PROM_KIND_OF_##call, PROM_N_VALUES_HERE_);      \
                call(prom_family_here_, prom_values_here_, PROM_N_VALUES_HERE_);                   \
        })
#define PROM_CALL_X_(call, ...)                                                                    \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                call(NULL, NULL, 0);                                                               \
        })

#define PROM_EMIT_0_(emitter, index, v) prom_emit_values(emitter, index, v, NULL, 0)
#define PROM_EMIT_1_(emitter, index, v, ...)                                                       \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_emit_values(emitter, index, v, prom_values_here_, PROM_N_VALUES_HERE_);       \
        })

#define PROM_EMIT_X_(emitter, index, ...)                                                          \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                (void)(emitter);                                                                   \
        })
#define PROM_EMIT_HISTOGRAM_X_(emitter, index, counts, ...) PROM_EMIT_X_(emitter, index, 0)

#define PROM_EMIT_HISTOGRAM_0_(emitter, index, counts, n_counts, sum)                              \
        prom_emit_histogram_values(emitter, index, counts, n_counts, sum, NULL, 0)
#define PROM_EMIT_HISTOGRAM_1_(emitter, index, counts, n_counts, sum, ...)                         \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_emit_histogram_values(emitter, index, counts, n_counts, sum,                  \
                                           prom_values_here_, PROM_N_VALUES_HERE_);                \
        })

/* A call whose label values are all literals, the content of which cannot change, remembers its
 * series. Only the first one that comes to a place in the program is kept there. */
struct prom_site_ {
        uint64_t family_id; /* stored last, with release */
        void *series;
};
void prom_site_keep_(struct prom_site_ *site, struct prom_family *family, void *series);

/* What families and series begin with. */
struct prom_family_head_ {
        uint32_t kind;
        uint32_t n_labels;
        uint64_t id; /* not 0 */
};
enum { PROM_SERIES_LIVE_, PROM_SERIES_HIDDEN_, PROM_SERIES_REMOVED_ };
struct prom_series_head_ {
        uint32_t cell;
        uint8_t state;
        uint64_t *word;
};

static inline void *prom_site_find_(const struct prom_site_ *site, const struct prom_family *family)
{
        if (!family || __atomic_load_n(&site->family_id, __ATOMIC_ACQUIRE) !=
                               ((const struct prom_family_head_ *)(const void *)family)->id)
                return NULL;
        void *series = __atomic_load_n(&site->series, __ATOMIC_RELAXED);
        if (__atomic_load_n(&((const struct prom_series_head_ *)series)->state, __ATOMIC_RELAXED) !=
            PROM_SERIES_LIVE_)
                return NULL;
        return series;
}

/* Look-ups by up to 4 values, which then come in registers, and by any number. */
void *prom_with_1_(struct prom_family *family, enum prom_kind kind, const char *a);
void *prom_with_2_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b);
void *prom_with_3_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c);
void *prom_with_4_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c, const char *d);
void *prom_with_many_(struct prom_family *family, enum prom_kind kind, const char *const *values,
                      size_t n);
enum {
        PROM_KIND_counter_ = PROM_COUNTER,
        PROM_KIND_gauge_ = PROM_GAUGE,
        PROM_KIND_histogram_ = PROM_HISTOGRAM,
        PROM_KIND_summary_ = PROM_SUMMARY,
};

#define PROM_WITH_(kind_, ...)                                                                     \
        PROM_PASTE_(PROM_WITH_, PROM_HAS_VALUES_(__VA_ARGS__))(kind_, __VA_ARGS__)
#define PROM_WITH_0_(kind_, family_)                                                               \
        PROM_WITH_SITE_(kind_, family_, 1, 0,                                                      \
                        prom_with_many_(prom_family_here_, prom_kind_here_, NULL, 0))
#define PROM_WITH_1_(kind_, family_, ...)                                                          \
        PROM_WITH_SITE_(kind_, family_, PROM_FEW_(PROM_LITERALS_, __VA_ARGS__),                    \
                        PROM_N_VALUES_(__VA_ARGS__), PROM_FEW_(PROM_FIND_, __VA_ARGS__))
#define PROM_WITH_X_(kind_, ...)                                                                   \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                (struct prom_##kind_ *)0;                                                          \
        })
#define PROM_N_VALUES_(...)                                                                        \
        PROM_PICK_(0, __VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, \
                   16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define PROM_WITH_SITE_(kind_, family_, literals_, n_values_, find_)                               \
        __extension__({                                                                            \
                static struct prom_site_ prom_site_here_;                                          \
                const enum prom_kind prom_kind_here_ = (enum prom_kind)PROM_KIND_##kind_##_;       \
                struct prom_family *prom_family_here_ = (family_);                                 \
                void *prom_found_here_ = NULL;                                                     \
                if (literals_)                                                                     \
                        prom_found_here_ = prom_site_find_(&prom_site_here_, prom_family_here_);   \
                if (!prom_found_here_) {                                                           \
                        PROM_CHECK_USE_(prom_family_here_, prom_kind_here_, n_values_);            \
                        prom_found_here_ = find_;                                                  \
                        if (literals_)                                                             \
                                prom_site_keep_(&prom_site_here_, prom_family_here_,               \
                                                prom_found_here_);                                 \
                }                                                                                  \
                (struct prom_##kind_ *)prom_found_here_;                                           \
        })

/* macro_1_(values) to macro_4_(values), or macro_many_(values) if there are more than 4. */
#define PROM_FEW_(macro_, ...)                                                                     \
        PROM_PASTE_(macro_,                                                                        \
                    PROM_PICK_(0, __VA_ARGS__, many_, many_, many_, many_, many_, many_, many_,    \
                               many_, many_, many_, many_, many_, many_, many_, many_, many_,      \
                               many_, many_, many_, many_, many_, many_, many_, many_, many_,      \
                               many_, many_, many_, 4_, 3_, 2_, 1_, 0))                            \
        (__VA_ARGS__)

#define PROM_FIND_1_(a) prom_with_1_(prom_family_here_, prom_kind_here_, a)
#define PROM_FIND_2_(a, b) prom_with_2_(prom_family_here_, prom_kind_here_, a, b)
#define PROM_FIND_3_(a, b, c) prom_with_3_(prom_family_here_, prom_kind_here_, a, b, c)
#define PROM_FIND_4_(a, b, c, d) prom_with_4_(prom_family_here_, prom_kind_here_, a, b, c, d)
#define PROM_FIND_many_(...)                                                                       \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_with_many_(prom_family_here_, prom_kind_here_, prom_values_here_,             \
                                PROM_N_VALUES_HERE_);                                              \
        })

/* Whether all are literals; 0 if there are more than 4. Of a pointer that is not written as one,
 * __builtin_constant_p() knows nothing, not even where a function was made part of its caller: no two
 * values come to one place. */
#define PROM_LITERALS_1_(a) (__builtin_constant_p(a))
#define PROM_LITERALS_2_(a, b) (__builtin_constant_p(a) && __builtin_constant_p(b))
#define PROM_LITERALS_3_(a, b, c) (PROM_LITERALS_2_(a, b) && __builtin_constant_p(c))
#define PROM_LITERALS_4_(a, b, c, d) (PROM_LITERALS_2_(a, b) && PROM_LITERALS_2_(c, d))
#define PROM_LITERALS_many_(...) 0

void prom_gauge_ignored_(struct prom_gauge *gauge);

static inline void prom_gauge_set(struct prom_gauge *gauge, double v)
{
        struct prom_series_head_ *series = (struct prom_series_head_ *)(void *)gauge;
        if (__builtin_expect(!series || __atomic_load_n(&series->state, __ATOMIC_RELAXED) ==
                                                PROM_SERIES_REMOVED_,
                             0)) {
                prom_gauge_ignored_(gauge);
                return;
        }
        uint64_t bits;
        __builtin_memcpy(&bits, &v, sizeof(bits));
        __atomic_store_n(series->word, bits, __ATOMIC_RELAXED);
}

static inline int prom_count_failure(struct prom_counter *counter, int result)
{
        if (result < 0)
                prom_counter_inc(counter);
        return result;
}

/* Calls a collector: in C++, within a catch-all. */
typedef void prom_guard_fn_(prom_collect_fn *collect, struct prom_emitter *emitter, void *data);
int prom_register_guarded_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                           prom_collect_fn *collect, void *data, prom_guard_fn_ *guard,
                           struct prom_collector **ret_collector, struct prom_error *error);
int prom_register_guarded_value_(struct prom_registry *registry, const struct prom_desc *desc,
                                 prom_value_fn *value, void *data, prom_guard_fn_ *guard,
                                 struct prom_collector **ret_collector, struct prom_error *error);
void prom_collector_failed_(struct prom_emitter *emitter);

int prom_visit_(struct prom_registry *registry, prom_visit_fn *visit, void *data);

#ifdef PROM_CATCHES_
struct prom_visit_guard_ {
        prom_visit_fn *visit;
        void *data;
        std::exception_ptr *thrown;
};

static inline int prom_visit_guarded_(const struct prom_view *family,
                                      const struct prom_point *point, void *data)
{
        struct prom_visit_guard_ *guard = static_cast<struct prom_visit_guard_ *>(data);
        try {
                return guard->visit(family, point, guard->data);
        } catch (abi::__forced_unwind &) {
                throw;
        } catch (...) {
                *guard->thrown = std::current_exception();
                return -1;
        }
}

static inline int prom_visit(struct prom_registry *registry, prom_visit_fn *visit, void *data)
{
        std::exception_ptr thrown;
        struct prom_visit_guard_ guard = {visit, data, &thrown};
        int r = prom_visit_(registry, prom_visit_guarded_, &guard);
        if (thrown)
                std::rethrow_exception(thrown);
        return r;
}

static inline void prom_guard_(prom_collect_fn *collect, struct prom_emitter *emitter, void *data)
{
        try {
                collect(emitter, data);
        } catch (abi::__forced_unwind &) { /* pthread_exit(), which must go on */
                throw;
        } catch (...) {
                prom_collector_failed_(emitter);
        }
}

static inline int prom_register_collector(struct prom_registry *registry,
                                          const struct prom_desc *descs, size_t n,
                                          prom_collect_fn *collect, void *data,
                                          struct prom_collector **ret_collector,
                                          struct prom_error *error)
{
        return prom_register_guarded_(registry, descs, n, collect, data, prom_guard_, ret_collector,
                                      error);
}

static inline int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                                      prom_value_fn *value, void *data,
                                      struct prom_collector **ret_collector,
                                      struct prom_error *error)
{
        return prom_register_guarded_value_(registry, desc, value, data, prom_guard_, ret_collector,
                                            error);
}
#endif

/* Has it a histogram with native buckets, which text cannot show? For libprom-push. */
int prom_has_native_(struct prom_registry *registry);

/* The n bytes at `data` as a gzip file, in memory from malloc(). For libprom-push. -ENOTSUP if gzip is not
 * built in; -ENOMEM. */
int prom_gzip_(const char *data, size_t n, char **ret_data, size_t *ret_n);

#define PROM_UNIQUE_(name) PROM_PASTE_(name, __COUNTER__)

struct prom_time_scope_ {
        struct prom_histogram *histogram;
        uint64_t start_ns;
};

static inline void prom_time_scope_end_(struct prom_time_scope_ *scope)
{
        prom_histogram_observe_since_ns(scope->histogram, scope->start_ns);
}

struct prom_summary_time_scope_ {
        struct prom_summary *summary;
        uint64_t start_ns;
};

static inline void prom_summary_time_scope_end_(struct prom_summary_time_scope_ *scope)
{
        prom_summary_observe_since_ns(scope->summary, scope->start_ns);
}

static inline struct prom_gauge *prom_in_progress_begin_(struct prom_gauge *gauge)
{
        prom_gauge_inc(gauge);
        return gauge;
}

static inline void prom_in_progress_end_(struct prom_gauge **gauge)
{
        prom_gauge_dec(*gauge);
}

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
