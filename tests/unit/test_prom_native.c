/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms: buckets of values, the limit, resets, threads. */
#include "prom/native.h"
#include "prom_fixture.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static struct prom_native_snapshot s; /* too large for a stack */

static struct prom_family *add_histogram(struct prom_desc desc)
{
        desc.kind = PROM_HISTOGRAM;
        desc.name = "h";
        return add(desc);
}

static struct prom_histogram *make(struct prom_desc desc)
{
        return prom_histogram_with(add_histogram(desc));
}

static void take(struct prom_histogram *h)
{
        assert_int_equal(prom_histogram_native_snapshot(h, &s), 0);
        uint64_t count = s.zero_count;
        for (size_t i = 0; i < s.n_positive + s.n_negative; i++) {
                count += s.buckets[i].count;
                assert_true(s.buckets[i].count > 0);
                if (i && i != s.n_positive)
                        assert_true(s.buckets[i].index > s.buckets[i - 1].index);
        }
        assert_int_equal(count, s.count);
}

static uint64_t random_bits(void)
{
        static uint64_t x = 88172645463325252; /* Marsaglia, "Xorshift RNGs" (2003) */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        return x;
}

/* ---- buckets ------------------------------------------------------------------------------ */

static double fine_bound(int i)
{
        return 1 + (double)prom_native_bounds_[i] / 0x1p52;
}

/* As client_golang's histogram.go and Prometheus' generic.go describe it: half a factor */
static void bounds_are_those_of_prometheus(void **state)
{
        static const double factors[NATIVE_SCHEMA_MAX + 1] = {
                2,
                0x1.6a09e667f3bccp0,
                0x1.306fe0a31b715p0,
                0x1.172b83c7d517bp0,
                0x1.0b5586cf9890fp0,
                0x1.059b0d3158574p0,
                0x1.02c9a3e778061p0,
                0x1.0163da9fb3335p0,
                0x1.00b1afa5abcbfp0,
        };
        static double bounds[NATIVE_SCHEMA_MAX + 1][NATIVE_BOUNDS + 1];
        for (int schema = 0; schema <= NATIVE_SCHEMA_MAX; schema++) {
                const int n = 1 << schema;
                double *b = bounds[schema];
                b[0] = 0.5;
                for (int i = 1; i < n; i++)
                        b[i] = i % 2 ? b[i - 1] * factors[schema] : bounds[schema - 1][i / 2];
                for (int i = 0; i < n; i++) {
                        assert_true(prom_native_bound_(i - n, schema) == b[i]);
                        assert_true(prom_native_bound_(i + 3 * n, schema) == b[i] * 16);
                }
        }
        for (int i = 0; i < NATIVE_BOUNDS; i++) {
                assert_true(fine_bound(i) == 2 * bounds[NATIVE_SCHEMA_MAX][i]);
                assert_true(prom_native_bounds_[i] < prom_native_bounds_[i + 1]);
        }
        assert_true(fine_bound(NATIVE_BOUNDS) == 2);
}

/* At most one bound lies between two mantissas that begin with the same bits. */
static void guesses_are_at_most_one_off(void **state)
{
        for (uint64_t i = 0; i < NATIVE_GUESSES; i++) {
                const uint64_t first = i << (52 - 9), last = ((i + 1) << (52 - 9)) - 1;
                const unsigned guess = prom_native_guess_[i];
                assert_true(prom_native_bounds_[guess] >= first);
                assert_true(guess == 0 || prom_native_bounds_[guess - 1] < first);
                assert_true(guess == NATIVE_BOUNDS || prom_native_bounds_[guess + 1] >= last);
        }
}

static void check_index(double v)
{
        const int32_t fine = prom_native_index_(v);
        for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX; schema++) {
                int32_t i = native_coarser(fine, (unsigned)(NATIVE_SCHEMA_MAX - schema));
                assert_true(v <= prom_native_bound_(i, schema));
                assert_true(v > prom_native_bound_(i - 1, schema));
        }
}

static void each_value_is_in_the_bucket_of_its_index(void **state)
{
        for (int i = 0; i < 200000; i++) {
                double v = double_of(random_bits() & ~(UINT64_C(1) << 63));
                if (isfinite(v) && v >= DBL_MIN)
                        check_index(v);
        }
        for (int i = 0; i < NATIVE_BOUNDS; i++) {
                check_index(fine_bound(i));
                check_index(double_of(bits_of(fine_bound(i)) + 1));
                check_index(double_of(bits_of(fine_bound(i)) - 1));
        }
        assert_int_equal(prom_native_index_(1), 0);
        assert_int_equal(prom_native_index_(2), 256);
        assert_int_equal(prom_native_index_(1.5), 150); /* 256 * log2(1.5) = 149.75 */
        assert_int_equal(prom_native_index_(-0.5), -256);
        assert_int_equal(prom_native_index_(DBL_MAX), 1024 * 256);
        assert_int_equal(prom_native_index_(DBL_MIN), -1022 * 256);
        assert_int_equal(prom_native_index_(0x1p-1074), -1074 * 256);
        assert_int_equal(prom_native_index_(0x3p-1074), -1073 * 256 + 150);
}

static void the_schema_fits_the_factor(void **state)
{
        static const struct {
                double factor;
                int schema;
        } cases[] = {{1.0001, 8},
                     {1.002, 8},
                     {1.0028, 8},
                     {1.006, 7},
                     {1.1, 3},
                     {1.2, 2},
                     {1.5, 1},
                     {1.99, 1},
                     {2, 0},
                     {3.9, 0},
                     {4, -1},
                     {16, -2},
                     {256, -3},
                     {65535, -3},
                     {65536, -4},
                     {1e300, -4},
                     /* the doubles closest to 2^(2^-n) for n from 1 to 8, as in client_golang */
                     {1.4142135623730951, 1},
                     {1.189207115002721, 3},
                     {1.0905077326652577, 3},
                     {1.0442737824274138, 5},
                     {1.0218971486541166, 5},
                     {1.0108892860517005, 6},
                     {1.0054299011128027, 8},
                     {1.0027112750502025, 8},
                     {1.414213562373095, 2},
                     {15.999999999999998, -2}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(prom_native_schema_(cases[i].factor), cases[i].schema);
}

/* ---- counting ----------------------------------------------------------------------------- */

static void observations_are_counted_in_their_buckets(void **state)
{
        struct prom_histogram *h = make((struct prom_desc){.native_factor = 2});
        static const double values[] = {0, -0.0, 1e-39, -1e-39, 1, 1, 1.5, 2, -3, -4, 1000};
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                prom_histogram_observe(h, values[i]);
        prom_histogram_observe(h, (double)NAN);
        prom_histogram_observe(h, (double)INFINITY);
        take(h);
        assert_int_equal(s.schema, 0);
        assert_true(s.zero_threshold == 0x1p-128);
        assert_int_equal(s.zero_count, 4);
        assert_int_equal(s.count, 11);
        assert_true(s.sum == 998.5);
        assert_true(s.created_ms > 0);
        static const struct prom_native_bucket expected[] = {{0, 2}, {1, 2}, {10, 1}, {2, 2}};
        assert_int_equal(s.n_positive, 3);
        assert_int_equal(s.n_negative, 1);
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(s.buckets[i].index, expected[i].index);
                assert_int_equal(s.buckets[i].count, expected[i].count);
        }
        assert_int_equal(prom_family_ignored(prom_registry_find(registry, "h")), 2);

        struct prom_snapshot classic; /* only +Inf */
        prom_histogram_snapshot(h, &classic);
        assert_int_equal(classic.n_buckets, 0);
        assert_int_equal(classic.buckets[0], 11);
        assert_true(classic.count == 11 && classic.sum == 998.5);
}

static void both_kinds_of_buckets_agree(void **state)
{
        static const double bounds[] = {1, 2};
        struct prom_histogram *h =
                make((struct prom_desc){.native_factor = 1.1, .buckets = bounds, .n_buckets = 2});
        struct prom_snapshot classic;
        for (int i = 1; i <= 300; i++)
                prom_histogram_observe(h, i / 100.0);
        prom_histogram_snapshot(h, &classic);
        assert_int_equal(classic.n_buckets, 2);
        assert_true(classic.buckets[0] == 100 && classic.buckets[1] == 100 &&
                    classic.buckets[2] == 100 && classic.count == 300);
        take(h);
        assert_int_equal(s.schema, 3);
        assert_int_equal(s.count, 300);
        assert_true(s.sum == classic.sum);
}

static void values_up_to_the_threshold_are_zeros(void **state)
{
        struct prom_histogram *h =
                make((struct prom_desc){.native_factor = 2, .native_zero_threshold = 0.5});
        prom_histogram_observe(h, 0.5);
        prom_histogram_observe(h, -0.5);
        prom_histogram_observe(h, 0.500001);
        take(h);
        assert_int_equal(s.zero_count, 2);
        assert_int_equal(s.n_positive, 1);
        prom_registry_free(registry);
        registry = prom_registry_new();
        h = make((struct prom_desc){.native_factor = 2, .native_zero_threshold = -1});
        prom_histogram_observe(h, 0x1p-1074);
        prom_histogram_observe(h, 0);
        prom_histogram_observe(h, -DBL_MAX);
        take(h);
        assert_true(s.zero_threshold == 0);
        assert_int_equal(s.zero_count, 1);
        assert_int_equal(s.buckets[0].index, -1074);
        assert_int_equal(s.buckets[1].index, 1024);
}

/* ---- the limit ---------------------------------------------------------------------------- */

static void too_many_buckets_halve_the_resolution(void **state)
{
        struct prom_histogram *h =
                make((struct prom_desc){.native_factor = 1.1, .native_max_buckets = 4});
        for (int i = 1; i <= 1000; i++) {
                prom_histogram_observe(h, i);
                if (i == 2) {
                        take(h);
                        assert_int_equal(s.schema, 3);
                }
        }
        take(h);
        assert_int_equal(s.count, 1000);
        assert_true(s.n_positive <= 4);
        assert_int_equal(s.schema, -2); /* 1, up to 16, 256, 4096 */
        static const struct prom_native_bucket expected[] = {{0, 1}, {1, 15}, {2, 240}, {3, 744}};
        assert_memory_equal(&s.buckets[0].index, &expected[0].index, sizeof(int32_t));
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(s.buckets[i].index, expected[i].index);
                assert_int_equal(s.buckets[i].count, expected[i].count);
        }
}

static void the_coarsest_resolution_exceeds_the_limit(void **state)
{
        struct prom_histogram *h = make((struct prom_desc){
                .native_factor = 2, .native_max_buckets = 1, .native_zero_threshold = -1});
        for (int e = -1074; e < 1024; e++) {
                double v = e < -1022 ? double_of(UINT64_C(1) << (e + 1074))
                                     : double_of((uint64_t)(e + 1023) << 52);
                prom_histogram_observe(h, v);
                prom_histogram_observe(h, -v);
        }
        take(h);
        assert_int_equal(s.schema, -4);
        assert_int_equal(s.count, 2 * 2098);
        assert_true(s.n_positive == s.n_negative && s.n_positive <= NATIVE_COARSEST / 2);
}

static void too_many_buckets_widen_the_zeros(void **state)
{
        struct prom_histogram *h = make((struct prom_desc){
                .native_factor = 2, .native_max_buckets = 3, .native_max_zero_threshold = 0.25});
        prom_histogram_observe(h, 0.1);
        prom_histogram_observe(h, -0.1);
        prom_histogram_observe(h, 1);
        take(h);
        assert_int_equal(s.zero_count, 0);
        prom_histogram_observe(h, 2);
        take(h);
        assert_int_equal(s.schema, 0);
        assert_true(s.zero_threshold == 0.125);
        assert_int_equal(s.zero_count, 2);
        assert_true(s.n_positive == 2 && s.n_negative == 0);
        prom_histogram_observe(h, 0.12);
        prom_histogram_observe(h, 4);
        prom_histogram_observe(h, 8); /* one bucket too many, and 1 is above the maximum
                                         threshold */
        take(h);
        assert_int_equal(s.schema, -1);
        assert_int_equal(s.zero_count, 3);
        assert_int_equal(s.count, 7);
}

/* The widened threshold equals, to the last bit, a bound of Prometheus. */
static void a_widened_threshold_is_a_bound(void **state)
{
        static const double values[] = {0.7, 0.9, 1.3, 1.9, 2.5};
        struct prom_histogram *h = make((struct prom_desc){
                .native_factor = 1.42, .native_max_buckets = 4, .native_max_zero_threshold = 1});
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                prom_histogram_observe(h, values[i]);
        take(h);
        assert_int_equal(s.schema, 1);
        assert_true(s.zero_threshold == 0.7071067811865475);
        assert_int_equal(s.zero_count, 1);
        assert_int_equal(s.n_positive, 4);
        assert_int_equal(s.buckets[0].index, 0);
}

static void too_many_buckets_reset_the_histogram(void **state)
{
        static const double bounds[] = {100};
        struct prom_histogram *h = make((struct prom_desc){.native_factor = 1.1,
                                                           .native_max_buckets = 2,
                                                           .native_min_reset_s = 1e-9,
                                                           .buckets = bounds,
                                                           .n_buckets = 1});
        struct prom_snapshot classic;
        prom_histogram_observe(h, 1);
        prom_histogram_observe(h, 2);
        prom_histogram_observe(h, 200); /* too many buckets: a reset, which keeps only this
                                           observation */
        take(h);
        assert_int_equal(s.count, 1);
        assert_true(s.sum == 200);
        assert_int_equal(s.schema, 3);
        prom_histogram_snapshot(h, &classic);
        assert_true(classic.buckets[0] == 0 && classic.buckets[1] == 1);
}

static void a_reset_that_became_due_happens_at_a_scrape(void **state)
{
        struct prom_histogram *h = make((struct prom_desc){
                .native_factor = 1.1, .native_max_buckets = 2, .native_min_reset_s = 1e6});
        prom_histogram_observe(h, 1);
        prom_histogram_observe(h, 2);
        prom_histogram_observe(h, 200);
        take(h);
        assert_int_equal(s.count, 3); /* too early for a reset */
        assert_true(s.schema < 3);
        struct prom_series *series = (struct prom_series *)h;
        series->native->reset_ns -= UINT64_C(1000000) * 1000000000; /* as if it were long ago */
        take(h);
        assert_int_equal(s.count, 3); /* reset after this was read */
        take(h);
        assert_int_equal(s.count, 0);
        assert_int_equal(s.schema, 3);
        assert_true(s.sum == 0);
}

static void a_removed_native_histogram_comes_back_at_zero(void **state)
{
        struct prom_family *f = add_histogram((struct prom_desc){
                .native_factor = 1.1, .labels = (const char *const[]){"a", NULL}});
        struct prom_histogram *h = prom_histogram_with(f, "x");
        prom_histogram_observe(h, 1);
        assert_int_equal(prom_remove(f, "x"), 0);
        prom_histogram_observe(h, 1);
        prom_histogram_observe(h, 1);
        take(h);
        assert_int_equal(s.count, 0);
        assert_int_equal(prom_family_ignored(f), 2);
        prom_histogram_observe(h, 1);
        assert_ptr_equal(prom_histogram_with(f, "x"), h);
        assert_int_equal(prom_family_ignored(f), 3);
        prom_histogram_observe(h, 7);
        take(h);
        assert_int_equal(s.count, 1);
        assert_true(s.sum == 7);
}

/* ---- threads ------------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 3000, GENERATIONS = 5 };

static void *observe(void *h)
{
        for (int i = 0; i < ROUNDS; i++)
                prom_histogram_observe(h, (double)(i % 100 + 1));
        return NULL;
}

static void counts_of_exited_threads_remain(void **state)
{
        static const double bounds[] = {50};
        struct prom_histogram *h = make((struct prom_desc){
                .native_factor = 1.1, .native_max_buckets = 30, .buckets = bounds, .n_buckets = 1});
        struct prom_snapshot classic;
        uint64_t before = 0;
        for (int g = 0; g < GENERATIONS; g++) {
                pthread_t threads[THREADS];
                for (int i = 0; i < THREADS; i++)
                        assert_int_equal(pthread_create(&threads[i], NULL, observe, h), 0);
                observe(h);
                take(h);
                assert_true(s.count >= before + ROUNDS);
                before = s.count;
                for (int i = 0; i < THREADS; i++)
                        pthread_join(threads[i], NULL);
        }
        take(h);
        const uint64_t total = (uint64_t)GENERATIONS * (THREADS + 1) * ROUNDS;
        assert_int_equal(s.count, total);
        assert_true(s.sum == (double)total * 50.5);
        assert_int_equal(s.schema, 2); /* 54 buckets of schema 3, 28 of schema 2 */
        prom_histogram_snapshot(h, &classic);
        assert_true(classic.buckets[0] == total / 2 && classic.buckets[1] == total / 2);
}

/* Each thread has its own buckets, within the limit; their sum exceeds it. */
static void *observe_decade(void *data)
{
        struct prom_histogram *h = prom_histogram_with(prom_registry_find(registry, "h"));
        double v = 1;
        for (int i = 0; i < *(int *)data; i++)
                v *= 1000;
        for (int i = 0; i < 100; i++, v *= 1.05)
                prom_histogram_observe(h, v);
        return NULL;
}

static void the_sum_of_growing_counts_never_shrinks(void **state)
{
        struct prom_histogram *h =
                make((struct prom_desc){.native_factor = 1.1, .native_max_buckets = 70});
        for (int i = 0; i < 5; i++) {
                pthread_t thread;
                assert_int_equal(pthread_create(&thread, NULL, observe_decade, &i), 0);
                pthread_join(thread, NULL);
        }
        take(h);
        assert_int_equal(s.count, 500);
        assert_true(s.n_positive <= 70);
        assert_true(s.schema < 3);
}

/* ---- fork() ------------------------------------------------------------------------------- */

static int busy;

static void *observe_busily(void *h)
{
        uint64_t n = 0;
        for (; __atomic_load_n(&busy, __ATOMIC_RELAXED); n++)
                prom_histogram_observe(h, (double)(n % 50 + 1));
        return (void *)(uintptr_t)n;
}

/* The child lacks the other thread, which may have been in the middle of an observation. */
static int check_child(struct prom_histogram *h)
{
        if (prom_histogram_native_snapshot(h, &s) < 0)
                return 1;
        const uint64_t before = s.count;
        prom_histogram_observe(h, 7);
        prom_histogram_observe(h, 1e6);
        if (prom_histogram_native_snapshot(h, &s) < 0 || s.count != before + 2)
                return 2;
        return before >= 10 ? 0 : 3;
}

static void a_child_continues_with_the_counts(void **state)
{
        struct prom_histogram *h =
                make((struct prom_desc){.native_factor = 1.1, .native_max_buckets = 40});
        pthread_t observer;
        void *observed;
        for (int i = 0; i < 10; i++)
                prom_histogram_observe(h, i);
        busy = 1;
        assert_int_equal(pthread_create(&observer, NULL, observe_busily, h), 0);
        for (int i = 0; i < 10; i++) {
                int status;
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(check_child(h));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
                take(h); /* exact while the thread keeps observing */
        }
        __atomic_store_n(&busy, 0, __ATOMIC_RELAXED);
        pthread_join(observer, &observed);
        take(h);
        assert_int_equal(s.count, (uint64_t)(uintptr_t)observed + 10);
}

static void invalid_native_descriptions_are_refused(void **state)
{
        const struct prom_desc bad[] = {
                {PROM_HISTOGRAM, "h", "h", .native_factor = 1},
                {PROM_HISTOGRAM, "h", "h", .native_factor = -2},
                {PROM_HISTOGRAM, "h", "h", .native_factor = (double)INFINITY},
                {PROM_HISTOGRAM, "h", "h", .native_factor = (double)NAN},
                {PROM_HISTOGRAM, "h", "h", .native_max_buckets = 10},
                {PROM_HISTOGRAM, "h", "h", .native_min_reset_s = 10},
                {PROM_HISTOGRAM, "h", "h", .native_factor = 2,
                 .native_max_buckets = PROM_NATIVE_BUCKETS_MAX + 1},
                {PROM_HISTOGRAM, "h", "h", .native_factor = 2, .native_min_reset_s = -1},
                {PROM_HISTOGRAM, "h", "h", .native_factor = 2,
                 .native_zero_threshold = (double)NAN},
                {PROM_HISTOGRAM, "h", "h", .native_factor = 2, .native_max_zero_threshold = -1},
                {PROM_GAUGE, "h", "h", .native_factor = 2},
        };
        struct prom_error error;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(prom_register(registry, &bad[i], NULL, &error), -EINVAL);
        struct prom_histogram *classic = make((struct prom_desc){.labels = NULL});
        assert_int_equal(prom_histogram_native_snapshot(classic, &s), -EINVAL);
        assert_int_equal(prom_histogram_native_snapshot(NULL, &s), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bounds_are_those_of_prometheus),
                cmocka_unit_test(guesses_are_at_most_one_off),
                cmocka_unit_test(each_value_is_in_the_bucket_of_its_index),
                cmocka_unit_test(the_schema_fits_the_factor),
                TEST(observations_are_counted_in_their_buckets),
                TEST(both_kinds_of_buckets_agree),
                TEST(values_up_to_the_threshold_are_zeros),
                TEST(too_many_buckets_halve_the_resolution),
                TEST(the_coarsest_resolution_exceeds_the_limit),
                TEST(too_many_buckets_widen_the_zeros),
                TEST(a_widened_threshold_is_a_bound),
                TEST(too_many_buckets_reset_the_histogram),
                TEST(a_reset_that_became_due_happens_at_a_scrape),
                TEST(a_removed_native_histogram_comes_back_at_zero),
                TEST(counts_of_exited_threads_remain),
                TEST(the_sum_of_growing_counts_never_shrinks),
                TEST(a_child_continues_with_the_counts),
                TEST(invalid_native_descriptions_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
