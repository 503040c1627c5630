/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads observe and exit, create series, remove series and scrape, all at the same time. Each
 * scrape must be consistent; the sanitizers check the rest.
 */
#include "prom/cells.h"
#include "prom/family.h"
#include "prom/read.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { OBSERVERS = 3, GENERATIONS = 6, ROUNDS = 1500, VALUES = 12 };

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})

/* Families from which nothing is removed, and families of the same kinds from which series are
 * removed all the */
enum {
        STEADY_COUNTER,
        STEADY_HISTOGRAM,
        STEADY_NATIVE,
        STEADY_SUMMARY,
        COUNTER,
        GAUGE,
        HISTOGRAM,
        NATIVE,
        SUMMARY,
        INFO,
        STATES,
        IDLE,
        N_FAMILIES
};

static const double bounds[] = {0.5, 1.5, 2.5, 3.5};
static const double quantiles[] = {0.5, 0.9};

static struct prom_registry *registry;
static struct prom_family *families[N_FAMILIES], *curried;
static int running;

static void set_up(void)
{
        const char *const *one = NAMES("i");
        const char *const *two = NAMES("a", "i");
        const struct prom_desc descs[N_FAMILIES] = {
                [STEADY_COUNTER] = {PROM_COUNTER, "steady_total", "h", one},
                [STEADY_HISTOGRAM] = {PROM_HISTOGRAM, "steady_histogram", "h", one, bounds, 4},
                [STEADY_NATIVE] = {PROM_HISTOGRAM, "steady_native", "h", one, bounds, 4,
                                   .native_factor = 1.1, .native_max_buckets = 12},
                [STEADY_SUMMARY] = {PROM_SUMMARY, "steady_summary", "h", one,
                                    .quantiles = quantiles, .n_quantiles = 2},
                [COUNTER] = {PROM_COUNTER, "grow_total", "h", two, .max_series = 8},
                [GAUGE] = {PROM_GAUGE, "churn_gauge", "h", two},
                [HISTOGRAM] = {PROM_HISTOGRAM, "churn_histogram", "h", two, bounds, 4},
                [NATIVE] = {PROM_HISTOGRAM, "churn_native", "h", two, .native_factor = 1.1,
                            .native_max_buckets = 3, .native_min_reset_s = 1e-3},
                [SUMMARY] = {PROM_SUMMARY, "churn_summary", "h", two, .quantiles = quantiles,
                             .n_quantiles = 2, .max_age_s = 1e-3},
                [INFO] = {PROM_INFO, "about_info", "h", two},
                [STATES] = {PROM_STATESET, "churn_states", "h", two, .states = NAMES("x", "y")},
                [IDLE] = {PROM_COUNTER, "idle_total", "h", one, .idle_timeout_s = 1e-6},
        };
        struct prom_error error = {""};
        registry = prom_registry_new();
        if (prom_register_all(registry, descs, N_FAMILIES, families, &error) < 0)
                fail_msg("%s", error.msg);
        assert_int_equal(prom_curry(families[COUNTER], LABELS({"a", "c"}), &curried, NULL), 0);
}

/* Only the thread of the test may use cmocka's assertions. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                    \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* ---- the roles ---------------------------------------------------------------------------- */

static void observe_once(int i)
{
        char value[16];
        snprintf(value, sizeof(value), "%d", i % VALUES);
        prom_counter_add(prom_counter_with(families[STEADY_COUNTER], value), i % 2 ? 1 : 0.5);
        prom_histogram_observe(prom_histogram_with(families[STEADY_HISTOGRAM], value), i % 5);
        prom_histogram_observe(prom_histogram_with(families[STEADY_NATIVE], value), i % 70);
        prom_summary_observe(prom_summary_with(families[STEADY_SUMMARY], value), i % 5);

        prom_counter_add_exemplar(prom_counter_with(families[COUNTER], "o", value), 0.5,
                                  LABELS({"trace", value}));
        prom_counter_inc(prom_counter_with(curried, value));
        prom_gauge_add(prom_gauge_with(families[GAUGE], "o", value), 1);
        prom_histogram_observe_exemplar(prom_histogram_with(families[HISTOGRAM], "o", value), i % 5,
                                        LABELS({"trace", value}));
        prom_histogram_observe(prom_histogram_with(families[NATIVE], "o", value), i);
        prom_summary_observe(prom_summary_with(families[SUMMARY], "o", value), -i);
        prom_stateset_choose(prom_stateset_with(families[STATES], "o", value), (size_t)i % 2);
        prom_info_set(families[INFO], "o", value);
        if (i % 50 == 0)
                prom_counter_inc(prom_counter_with(families[IDLE], value));
}

/* Uses handles that are kept whatever happens to their series. */
static void observe_stale(int i, struct prom_counter *counter, struct prom_histogram *histogram,
                          struct prom_histogram *native, struct prom_gauge *gauge)
{
        prom_counter_inc(counter);
        prom_counter_add(counter, 0.25);
        prom_histogram_observe(histogram, i % 5);
        prom_histogram_observe_exemplar(native, i % 100, LABELS({"trace", "stale"}));
        prom_gauge_set(gauge, i);
}

static void *observe(void *data)
{
        struct prom_counter *counter = prom_counter_with(families[COUNTER], "o", "1");
        struct prom_histogram *histogram = prom_histogram_with(families[HISTOGRAM], "o", "1");
        struct prom_histogram *native = prom_histogram_with(families[NATIVE], "o", "1");
        struct prom_gauge *gauge = prom_gauge_with(families[GAUGE], "o", "1");
        for (int i = 0; i < ROUNDS; i++) {
                observe_once(i);
                observe_stale(i, counter, histogram, native, gauge);
        }
        return NULL;
}

static void *create(void *data)
{
        char value[32];
        for (int i = 0; __atomic_load_n(&running, __ATOMIC_RELAXED); i++) {
                snprintf(value, sizeof(value), "%d", i % 40);
                prom_counter_inc(prom_counter_with(families[COUNTER], "n", value));
                prom_gauge_inc(prom_gauge_with(families[GAUGE], "n", value));
                prom_histogram_observe(prom_histogram_with(families[HISTOGRAM], "n", value), 1);
                prom_histogram_observe(prom_histogram_with(families[NATIVE], "n", value), 1);
                prom_summary_observe(prom_summary_with(families[SUMMARY], "n", value), 1);
                if (i % 100 == 0) {
                        struct prom_family *view;
                        (void)prom_curry(families[GAUGE], LABELS({"i", value}), &view, NULL);
                        prom_gauge_inc(prom_gauge_with(view, "v"));
                }
        }
        return NULL;
}

static void *delete (void *data)
{
        char value[16];
        for (int i = 0; __atomic_load_n(&running, __ATOMIC_RELAXED); i++) {
                snprintf(value, sizeof(value), "%d", i % VALUES);
                for (int f = COUNTER; f < IDLE; f++) {
                        CHECK(prom_remove(families[f], "o", value) <= 0);
                        if (i % 17 == 0)
                                CHECK(prom_remove_partial(families[f], LABELS({"a", "n"})) >= 0);
                        if (i % 67 == 0)
                                CHECK(prom_clear(families[f]) >= 0);
                }
                (void)prom_remove(curried, value);
        }
        return NULL;
}

/* ---- what scrapers check ------------------------------------------------------------------ */

struct last {
        int64_t created_ms;
        double value;
};

struct scraper {
        struct prom_buf buf;
        struct last seen[N_FAMILIES][64 * PROM_TOMBSTONES_FACTOR];
        struct prom_native_snapshot native;
        struct prom_snapshot histogram;
        struct prom_quantile_snapshot summary;
};

static void check_grows(struct last *last, int64_t created_ms, double value)
{
        CHECK(created_ms >= last->created_ms);
        if (created_ms == last->created_ms)
                CHECK(value >= last->value);
        *last = (struct last){created_ms, value};
}

static void check_counter(struct prom_series *series, struct last *last)
{
        struct counter_value value;
        prom_read_counters_(series, 1, true, &value);
        CHECK(value.part >= 0 && value.whole < UINT64_C(1) << 62);
        if (value.shown)
                check_grows(last, value.created_ms, (double)value.whole + value.part);
}

static void check_histogram(struct scraper *s, struct prom_series *series, struct last *last)
{
        uint64_t count = 0;
        if (!prom_read_histogram_(series, &s->histogram))
                return;
        for (size_t i = 0; i <= s->histogram.n_buckets; i++) {
                CHECK(s->histogram.buckets[i] < UINT64_C(1) << 62);
                count += s->histogram.buckets[i];
        }
        CHECK(count == s->histogram.count);
        check_grows(last, s->histogram.created_ms, (double)count);
}

/* For the steady families, whose observations are 0 to 4. */
static void check_sum(const struct prom_snapshot *s)
{
        double sum = 0;
        for (size_t i = 0; i <= s->n_buckets; i++)
                sum += (double)i * (double)s->buckets[i];
        CHECK(s->sum == sum);
}

static void check_native(struct scraper *s, struct prom_series *series, struct last *last)
{
        if (!prom_read_native_(series, &s->histogram, &s->native))
                return;
        uint64_t count = s->native.zero_count, classic = 0;
        for (size_t i = 0; i < s->native.n_positive + s->native.n_negative; i++)
                count += s->native.buckets[i].count;
        for (size_t i = 0; i <= s->histogram.n_buckets; i++)
                classic += s->histogram.buckets[i];
        CHECK(count == s->native.count);
        CHECK(classic == count);
        check_grows(last, s->native.created_ms, (double)count);
}

static void check_series(struct scraper *s, int f, struct prom_series *series, struct last *last)
{
        if (f == STEADY_COUNTER || f == COUNTER || f == IDLE)
                check_counter(series, last);
        if (f == STEADY_HISTOGRAM || f == HISTOGRAM)
                check_histogram(s, series, last);
        if (f == STEADY_HISTOGRAM)
                check_sum(&s->histogram);
        if (f == STEADY_NATIVE || f == NATIVE)
                check_native(s, series, last);
        if ((f == STEADY_SUMMARY || f == SUMMARY) && prom_read_summary_(series, &s->summary))
                check_grows(last, s->summary.created_ms, (double)s->summary.count);
}

static void *scrape(void *data)
{
        struct scraper *s = calloc(1, sizeof(*s));
        CHECK(s);
        while (__atomic_load_n(&running, __ATOMIC_RELAXED)) {
                CHECK(prom_render_text(registry, &s->buf) == 0);
                for (int f = 0; f < N_FAMILIES; f++) {
                        size_t n = LOAD_ACQUIRE(&families[f]->n_series);
                        CHECK(n <= 64 * PROM_TOMBSTONES_FACTOR);
                        for (size_t i = 0; i < n; i++)
                                check_series(s, f, prom_series_at_(families[f], i), &s->seen[f][i]);
                }
        }
        prom_buf_release(&s->buf);
        free(s);
        return NULL;
}

/* ---- the test ----------------------------------------------------------------------------- */

static void check_totals(void)
{
        const double rounds = (double)OBSERVERS * GENERATIONS * ROUNDS;
        double counted = 0, sum = 0;
        uint64_t observed = 0, natively = 0, summarized = 0;
        static struct prom_native_snapshot native;
        struct prom_quantile_snapshot summary;
        struct prom_snapshot histogram;
        for (int i = 0; i < VALUES; i++) {
                char value[16];
                snprintf(value, sizeof(value), "%d", i);
                counted += prom_counter_value(prom_counter_with(families[STEADY_COUNTER], value));
                prom_histogram_snapshot(prom_histogram_with(families[STEADY_HISTOGRAM], value),
                                        &histogram);
                observed += histogram.count;
                sum += histogram.sum;
                assert_int_equal(
                        prom_histogram_native_snapshot(
                                prom_histogram_with(families[STEADY_NATIVE], value), &native),
                        0);
                natively += native.count;
                assert_int_equal(
                        prom_summary_snapshot(prom_summary_with(families[STEADY_SUMMARY], value),
                                              &summary),
                        0);
                summarized += summary.count;
        }
        assert_true(counted == rounds * 0.75);
        assert_true((double)observed == rounds && sum == rounds * 2);
        assert_true((double)natively == rounds && (double)summarized == rounds);
}

static void all_roles_at_once_lose_nothing(void **state)
{
        static void *(*const roles[])(void *) = {create, delete, scrape, scrape};
        enum { N_ROLES = sizeof(roles) / sizeof(roles[0]) };
        pthread_t others[N_ROLES], observers[OBSERVERS];
        set_up();
        running = 1;
        for (int i = 0; i < N_ROLES; i++)
                assert_int_equal(pthread_create(&others[i], NULL, roles[i], NULL), 0);
        for (int g = 0; g < GENERATIONS; g++) {
                for (int i = 0; i < OBSERVERS; i++)
                        assert_int_equal(pthread_create(&observers[i], NULL, observe, NULL), 0);
                for (int i = 0; i < OBSERVERS; i++)
                        pthread_join(observers[i], NULL);
        }
        __atomic_store_n(&running, 0, __ATOMIC_RELAXED);
        for (int i = 0; i < N_ROLES; i++)
                pthread_join(others[i], NULL);
        check_totals();
        prom_registry_free(registry);
}

/* ---- sums of fractions -------------------------------------------------------------------- */

/* Threads that count one after the other, each in a slab of its own, and then one after the other
 * count so little that it changes no sum, in so many buckets that its block is replaced by a larger
 * one. */
enum { N_COUNTING = 3, MANY_BUCKETS = 40 };
static struct {
        double v;
        struct prom_family **families; /* a counter, a histogram, a native one, a summary */
        pthread_barrier_t counted, may_end;
} counting[N_COUNTING];

static void *count_and_wait(void *data)
{
        const size_t i = (size_t)(uintptr_t)data;
        struct prom_family **f = counting[i].families;
        prom_counter_add(prom_counter_with(f[0]), counting[i].v);
        prom_histogram_observe(prom_histogram_with(f[1]), counting[i].v);
        prom_histogram_observe(prom_histogram_with(f[2]), counting[i].v);
        prom_summary_observe(prom_summary_with(f[3]), counting[i].v);
        pthread_barrier_wait(&counting[i].counted);
        pthread_barrier_wait(&counting[i].may_end);
        for (int e = 0; e < MANY_BUCKETS; e++) {
                const double little = 1 / (double)(UINT64_C(1) << 60) / (double)(UINT64_C(1) << e);
                prom_histogram_observe(prom_histogram_with(f[2]), little);
                prom_summary_observe(prom_summary_with(f[3]), little);
        }
        return NULL;
}

static void read_sums(struct prom_family **f, double sums[4])
{
        static struct prom_native_snapshot native;
        struct prom_snapshot histogram;
        struct prom_quantile_snapshot summary;
        sums[0] = prom_counter_value(prom_counter_with(f[0]));
        prom_histogram_snapshot(prom_histogram_with(f[1]), &histogram);
        sums[1] = histogram.sum;
        assert_int_equal(prom_histogram_native_snapshot(prom_histogram_with(f[2]), &native), 0);
        sums[2] = native.sum;
        assert_int_equal(prom_summary_snapshot(prom_summary_with(f[3]), &summary), 0);
        sums[3] = summary.sum;
}

/* In this order, 2^-53 + 2^-53 + 1.5 is more than 1.5 + 2^-53 + 2^-53, into which it turns when the
 * block with 1.5, the first, is replaced. */
static void sums_never_shrink(void **state)
{
        static const double values[N_COUNTING] = {1.5, 0x1p-53, 0x1p-53};
        const struct prom_desc descs[] = {
                {.kind = PROM_COUNTER, .name = "c_total", .help = "h"},
                {.kind = PROM_HISTOGRAM, .name = "h", .help = "h"},
                {.kind = PROM_HISTOGRAM, .name = "n", .help = "h", .native_factor = 2},
                {.kind = PROM_SUMMARY, .name = "s", .help = "h"},
        };
        struct prom_family *f[4];
        pthread_t threads[N_COUNTING];
        double before[4], after[4];
        registry = prom_registry_new();
        prom_percpu_.usable = false;
        assert_int_equal(prom_register_all(registry, descs, 4, f, NULL), 0);
        for (size_t i = 0; i < N_COUNTING; i++) {
                counting[i].v = values[i];
                counting[i].families = f;
                pthread_barrier_init(&counting[i].counted, NULL, 2);
                pthread_barrier_init(&counting[i].may_end, NULL, 2);
                assert_int_equal(
                        pthread_create(&threads[i], NULL, count_and_wait, (void *)(uintptr_t)i), 0);
                pthread_barrier_wait(&counting[i].counted);
        }
        read_sums(f, before);
        assert_true(before[2] == 1.5 + 0x1p-52 && before[3] == 1.5 + 0x1p-52);
        for (size_t i = 0; i < N_COUNTING; i++) {
                pthread_barrier_wait(&counting[i].may_end);
                pthread_join(threads[i], NULL);
                read_sums(f, after);
                for (size_t j = 0; j < 4; j++)
                        assert_true(after[j] >= before[j]);
                memcpy(before, after, sizeof(before));
        }
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_roles_at_once_lose_nothing),
                cmocka_unit_test(sums_never_shrink),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
