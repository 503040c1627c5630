/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: which bucket a value falls into, and what a snapshot shows. */
#include "prom/prom.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct prom_histogram *make(struct prom_registry *r, const double *bounds, size_t n)
{
        struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                 .name = "h",
                                 .help = "h",
                                 .buckets = bounds,
                                 .n_buckets = n};
        struct prom_family *family;
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        return prom_histogram_with(family);
}

/* The next larger double; v must be positive. */
static double next_after(double v)
{
        uint64_t bits;
        memcpy(&bits, &v, sizeof(bits));
        bits++;
        memcpy(&v, &bits, sizeof(v));
        return v;
}

static void a_bound_belongs_to_its_bucket(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_histogram *h = make(r, NULL, 0);
        struct prom_snapshot s;
        for (size_t i = 0; i < PROM_DEFAULT_BUCKETS; i++) {
                prom_histogram_observe(h, prom_default_buckets[i]);
                prom_histogram_observe(h, next_after(prom_default_buckets[i]));
        }
        prom_histogram_observe(h, -1);
        prom_histogram_observe(h, -0.0);
        prom_histogram_observe(h, 1e308);
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.n_buckets, PROM_DEFAULT_BUCKETS);
        assert_int_equal(s.buckets[0], 3); /* -1, 0 and 0.005 */
        for (size_t i = 1; i < PROM_DEFAULT_BUCKETS; i++)
                assert_int_equal(s.buckets[i], 2);
        assert_int_equal(s.buckets[PROM_DEFAULT_BUCKETS], 2);
        assert_int_equal(s.count, 2 * PROM_DEFAULT_BUCKETS + 3);
        prom_registry_free(r);
}

/* Compares the search with its definition, for all numbers of buckets. */
static void the_search_finds_the_bucket_of_every_value(void **state)
{
        double bounds[PROM_BUCKETS_MAX];
        for (size_t n = 1; n <= PROM_BUCKETS_MAX; n += n < 70 ? 1 : 13) {
                assert_int_equal(prom_linear_buckets(-3, 1, n, bounds), 0);
                struct prom_registry *r = prom_registry_new();
                struct prom_histogram *h = make(r, bounds, n);
                uint64_t expected[PROM_BUCKETS_MAX + 1] = {0}, count = 0;
                for (int half = -10; half < 2 * (int)n; half++) {
                        const double v = half / 2.0;
                        size_t i = 0;
                        while (i < n && !(v <= bounds[i]))
                                i++;
                        expected[i]++;
                        count++;
                        prom_histogram_observe(h, v);
                }
                struct prom_snapshot s;
                prom_histogram_snapshot(h, &s);
                assert_memory_equal(s.buckets, expected, sizeof(expected));
                assert_int_equal(s.count, count);
                prom_registry_free(r);
        }
}

static void values_that_are_not_finite_are_ignored(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_histogram *h = make(r, (const double[]){1}, 1);
        struct prom_snapshot s;
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 3.5);
        prom_histogram_observe(h, NAN);
        prom_histogram_observe(h, INFINITY);
        prom_histogram_observe(h, -INFINITY);
        prom_histogram_observe(NULL, 1);
        prom_histogram_snapshot(h, &s);
        assert_true(s.sum == 3.75);
        assert_int_equal(s.count, 2);
        assert_int_equal(prom_family_ignored(prom_registry_find(r, "h")), 3);
        prom_histogram_snapshot(NULL, &s);
        assert_int_equal(s.count, 0);
        prom_registry_free(r);
}

static void seconds_since_a_time_are_observed(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_histogram *h = make(r, (const double[]){1}, 1);
        struct prom_snapshot s;
        uint64_t now = prom_now_ns();
        prom_histogram_observe_since_ns(h, now - 2500000000u);
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.buckets[1], 1);
        assert_true(s.sum >= 2.5);
        prom_histogram_observe_since_ns(h, UINT64_MAX); /* a start in the future counts as 0 */
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.buckets[0], 1);
        prom_registry_free(r);
}

static void bucket_helpers_check_their_bounds(void **state)
{
        double b[PROM_BUCKETS_MAX + 1] = {42};
        assert_int_equal(prom_linear_buckets(0, 1, 0, b), -EINVAL);
        assert_int_equal(prom_linear_buckets(0, 0, 2, b), -EINVAL);
        assert_int_equal(prom_linear_buckets(1e300, 1, 2, b), -EINVAL);
        assert_int_equal(prom_linear_buckets(NAN, 1, 2, b), -EINVAL);
        assert_int_equal(prom_linear_buckets(0, 1, PROM_BUCKETS_MAX + 1, b), -EINVAL);
        assert_int_equal(prom_exponential_buckets(0, 2, 2, b), -EINVAL);
        assert_int_equal(prom_exponential_buckets(1, 1, 2, b), -EINVAL);
        assert_int_equal(prom_exponential_buckets(1e300, 1e9, 2, b), -EINVAL);
        assert_true(b[0] == 42);
        assert_int_equal(prom_linear_buckets(1.5e308, 1e307, 3, b), 0);
        assert_true(b[2] == 1.5e308 + 1e307 * 2);
        assert_int_equal(prom_linear_buckets(1.5e308, 1e307, 4, b), -EINVAL);
        assert_int_equal(prom_linear_buckets(1, 0.5, 3, b), 0);
        assert_true(b[0] == 1 && b[1] == 1.5 && b[2] == 2);
        assert_int_equal(prom_exponential_buckets(0.001, 10, 3, b), 0);
        assert_true(b[0] == 0.001 && b[1] == 0.01 && b[2] == 0.1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_bound_belongs_to_its_bucket),
                cmocka_unit_test(the_search_finds_the_bucket_of_every_value),
                cmocka_unit_test(values_that_are_not_finite_are_ignored),
                cmocka_unit_test(seconds_since_a_time_are_observed),
                cmocka_unit_test(bucket_helpers_check_their_bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
