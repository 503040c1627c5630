/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries: quantiles of a window that moves when the summary is read. */
#include "prom/native.h"
#include "prom_fixture.h"

#include <errno.h>
#include <math.h>

#define SECOND UINT64_C(1000000000)

static const double quantiles[] = {0, 0.5, 0.9, 0.99, 1};
enum { N_QUANTILES = 5 };

static struct prom_quantile_snapshot s;

static struct prom_family *add_summary(struct prom_desc desc)
{
        desc.kind = PROM_SUMMARY;
        desc.name = "s";
        return add(desc);
}

static struct prom_summary *make(double max_age_s)
{
        return prom_summary_with(add_summary((struct prom_desc){
                .quantiles = quantiles, .n_quantiles = N_QUANTILES, .max_age_s = max_age_s}));
}

static void take(struct prom_summary *summary)
{
        assert_int_equal(prom_summary_snapshot(summary, &s), 0);
}

static void near(double v, double expected)
{
        if (!(v >= expected / 1.011 && v <= expected * 1.011) && v != expected)
                fail_msg("%g is not near %g", v, expected);
}

static void quantiles_are_within_their_error(void **state)
{
        struct prom_summary *summary = make(0);
        for (int i = 1; i <= 10000; i++)
                prom_summary_observe(summary, i * 0.001);
        take(summary);
        assert_int_equal(s.count, 10000);
        assert_true(s.sum > 50004.9 && s.sum < 50005.1);
        assert_int_equal(s.n_quantiles, N_QUANTILES);
        near(s.values[0], 0.001);
        near(s.values[1], 5);
        near(s.values[2], 9);
        near(s.values[3], 9.9);
        near(s.values[4], 10);
        assert_true(s.quantiles[3] == 0.99);
        assert_true(s.created_ms > 0);
}

static void quantiles_of_negative_values_are_negative(void **state)
{
        struct prom_summary *summary = make(0);
        for (int i = -100; i < 0; i++)
                prom_summary_observe(summary, i);
        take(summary);
        near(-s.values[0], 100);
        near(-s.values[1], 51);
        near(-s.values[4], 1);
        for (int i = 0; i < 101; i++)
                prom_summary_observe(summary, 0);
        take(summary);
        assert_true(s.values[1] == 0 && s.values[4] == 0);
        for (int i = 0; i < 1000; i++)
                prom_summary_observe(summary, 7);
        take(summary);
        near(-s.values[0], 100);
        near(s.values[1], 7);
}

static void an_empty_summary_has_no_quantiles(void **state)
{
        struct prom_summary *summary = make(0);
        take(summary);
        assert_int_equal(s.count, 0);
        for (size_t i = 0; i < N_QUANTILES; i++)
                assert_true(isnan(s.values[i]));
        prom_summary_observe(summary, 3);
        take(summary);
        for (size_t i = 0; i < N_QUANTILES; i++)
                near(s.values[i], 3);
}

static void quantiles_cover_the_window(void **state)
{
        struct prom_summary *summary = make(100);
        prom_summary_observe(summary, 1000);
        take(summary);
        near(s.values[4], 1000);
        for (int step = 0; step < 10; step++) {
                prom_summary_age_(summary, 20 * SECOND);
                prom_summary_observe(summary, step + 1);
                take(summary);
                near(s.values[0], step < 5 ? 1 : step - 4 + 1);
                near(s.values[4], step < 4 ? 1000 : step + 1);
        }
        assert_int_equal(s.count, 11); /* counts everything */
        prom_summary_age_(summary, 1000 * SECOND);
        take(summary); /* nothing since the last scrape, which is too long ago */
        assert_true(isnan(s.values[1]));
        assert_int_equal(s.count, 11);
        prom_summary_observe(summary, 5);
        take(summary);
        near(s.values[0], 5);
        near(s.values[4], 5);
}

static void frequent_scrapes_keep_few_sketches(void **state)
{
        struct prom_summary *summary = make(100);
        for (int i = 1; i <= 300; i++) { /* one per second */
                prom_summary_observe(summary, i);
                take(summary);
                prom_summary_age_(summary, SECOND);
        }
        take(summary);
        if (!(s.values[0] >= 170 && s.values[0] <= 206)) /* 100 to 120 seconds */
                fail_msg("%g", s.values[0]);
        near(s.values[4], 300);
}

static void a_late_first_scrape_starts_the_window(void **state)
{
        struct prom_summary *summary = make(100);
        prom_summary_observe(summary, 1);
        prom_summary_age_(summary, 1000 * SECOND);
        take(summary); /* their time is unknown */
        near(s.values[1], 1);
        prom_summary_observe(summary, 2);
        take(summary);
        near(s.values[0], 2);
}

static void wide_ranges_double_the_bucket_width(void **state)
{
        struct prom_summary *summary = make(0);
        double v = 1e-12;
        for (int i = 0; i < 2400; i++, v *= 1.0235) /* about 2,400 buckets of schema 5 */
                prom_summary_observe(summary, v);
        take(summary);
        assert_int_equal(s.count, 2400);
        assert_true(s.values[0] > 0.95e-12 && s.values[0] < 1.05e-12); /* coarser, not lost */
        assert_true(s.values[4] > v / 1.08 && s.values[4] < v);
}

static void a_removed_summary_comes_back_at_zero(void **state)
{
        struct prom_family *f =
                add_summary((struct prom_desc){.quantiles = quantiles,
                                               .n_quantiles = N_QUANTILES,
                                               .labels = (const char *const[]){"a", NULL}});
        struct prom_summary *summary = prom_summary_with(f, "x");
        prom_summary_observe(summary, 1);
        take(summary);
        assert_int_equal(prom_remove(f, "x"), 0);
        prom_summary_observe(summary, 2);
        take(summary);
        assert_int_equal(s.count, 0);
        assert_int_equal(prom_family_ignored(f), 1);
        assert_ptr_equal(prom_summary_with(f, "x"), summary);
        prom_summary_observe(summary, 3);
        take(summary);
        assert_int_equal(s.count, 1);
        near(s.values[0], 3);
        prom_summary_observe(summary, (double)NAN);
        prom_summary_observe(summary, (double)INFINITY);
        assert_null(prom_histogram_with(f, "x"));
        assert_int_equal(prom_family_ignored(f), 4);
        prom_summary_observe(NULL, 1);
        prom_summary_observe_since_ns(NULL, 1);
        prom_summary_observe_since_ns(summary, UINT64_MAX);
        take(summary);
        assert_int_equal(s.count, 2);
        assert_true(s.values[0] == 0);
        assert_int_equal(prom_summary_snapshot(NULL, &s), -EINVAL);
}

static void a_summary_may_have_no_quantiles(void **state)
{
        struct prom_summary *summary =
                prom_summary_with(add_summary((struct prom_desc){.labels = NULL}));
        prom_summary_observe(summary, 2.5);
        take(summary);
        assert_true(s.count == 1 && s.sum == 2.5 && s.n_quantiles == 0);
}

static void invalid_summaries_are_refused(void **state)
{
        static const double down[] = {0.5, 0.1}, beyond[] = {0.5, 1.5}, below[] = {-0.5},
                            nan[] = {(double)NAN}, many[PROM_QUANTILES_MAX + 1] = {0};
        const struct prom_desc bad[] = {
                {PROM_SUMMARY, "s", "h", .quantiles = down, .n_quantiles = 2},
                {PROM_SUMMARY, "s", "h", .quantiles = beyond, .n_quantiles = 2},
                {PROM_SUMMARY, "s", "h", .quantiles = below, .n_quantiles = 1},
                {PROM_SUMMARY, "s", "h", .quantiles = nan, .n_quantiles = 1},
                {PROM_SUMMARY, "s", "h", .quantiles = many, .n_quantiles = PROM_QUANTILES_MAX + 1},
                {PROM_SUMMARY, "s", "h", .n_quantiles = 1},
                {PROM_SUMMARY, "s", "h", .quantiles = down},
                {PROM_SUMMARY, "s", "h", .max_age_s = -1},
                {PROM_SUMMARY, "s", "h", .max_age_s = (double)NAN},
                {PROM_SUMMARY, "s", "h", .buckets = many, .n_buckets = 1},
                {PROM_SUMMARY, "s", "h", .labels = (const char *const[]){"quantile", NULL}},
        };
        struct prom_error error;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(prom_register(registry, &bad[i], NULL, &error), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(quantiles_are_within_their_error),
                TEST(quantiles_of_negative_values_are_negative),
                TEST(an_empty_summary_has_no_quantiles),
                TEST(quantiles_cover_the_window),
                TEST(frequent_scrapes_keep_few_sketches),
                TEST(a_late_first_scrape_starts_the_window),
                TEST(wide_ranges_double_the_bucket_width),
                TEST(a_removed_summary_comes_back_at_zero),
                TEST(a_summary_may_have_no_quantiles),
                TEST(invalid_summaries_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
