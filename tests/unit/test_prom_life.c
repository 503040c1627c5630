/* SPDX-License-Identifier: Apache-2.0 */
/* Series are removed, come back, expire, and are reached through curried families. */
#include "prom/family.h"
#include "prom_fixture.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <time.h>

/* Whether a scrape has this line of the metric. "" stands for its TYPE line. */
static bool shows(const char *line)
{
        char wanted[256];
        assert_int_equal(prom_render_text(registry, &buf), 0);
        snprintf(wanted, sizeof(wanted), "\n%s\n", line);
        return strstr(buf.data, wanted) != NULL;
}

/* ---- removal ------------------------------------------------------------------------------ */

static void a_removed_counter_comes_back_at_zero(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a", "b")});
        struct prom_counter *c = prom_counter_with(f, "x", "y");
        prom_counter_add_int(c, 41);
        prom_counter_add(c, 0.5);
        assert_true(shows("c_total{a=\"x\",b=\"y\"} 41.5"));
        assert_int_equal(prom_remove(f, "x", "y"), 0);
        assert_false(mentions("c_total{"));
        assert_false(mentions("# TYPE c_total"));
        assert_int_equal(prom_remove(f, "x", "y"), -ENOENT);
        assert_true(prom_counter_value(c) == 0);

        prom_counter_add_int(c, 5); /* a stale handle: not shown, counted */
        assert_false(mentions("c_total{"));
        assert_int_equal(prom_family_ignored(f), 5);
        prom_counter_inc(c);

        assert_ptr_equal(prom_counter_with(f, "x", "y"), c);
        assert_int_equal(prom_family_ignored(f), 6);
        assert_true(shows("c_total{a=\"x\",b=\"y\"} 0"));
        prom_counter_inc(c);
        prom_counter_add(c, 0.25);
        assert_true(shows("c_total{a=\"x\",b=\"y\"} 1.25"));
        assert_true(prom_counter_value(c) == 1.25);

        assert_int_equal(prom_remove(f, "x", "y"), 0);
        assert_ptr_equal(prom_counter_with(f, "x", "y"), c);
        assert_true(shows("c_total{a=\"x\",b=\"y\"} 0"));
        assert_int_equal(prom_family_ignored(f), 6);

        assert_int_equal(prom_remove(f, "x", "y"), 0);
        for (int i = 0; i < 3; i++)
                prom_counter_add(c, 1000.5);
        prom_counter_inc(c);
        assert_true(prom_counter_value(c) == 0);
        assert_int_equal(prom_family_ignored(f), 6 + 3002 + 1);
        prom_counter_add(c, 1e300);
        assert_true(prom_counter_value(c) == 0);
        assert_int_equal(prom_family_ignored(f), 6 + 3002 + 1 + 1);
}

static void a_removed_gauge_comes_back_at_zero(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("a")});
        struct prom_gauge *g = prom_gauge_with(f, "x");
        prom_gauge_set(g, 7);
        assert_int_equal(prom_remove(f, "x"), 0);
        prom_gauge_set(g, 8);
        prom_gauge_add(g, 8);
        prom_gauge_inc(g);
        assert_int_equal(prom_family_ignored(f), 3);
        assert_true(prom_gauge_value(g) == 0);
        assert_false(mentions("g{"));
        assert_ptr_equal(prom_gauge_with(f, "x"), g);
        assert_true(shows("g{a=\"x\"} 0"));
}

static void a_removed_histogram_comes_back_at_zero(void **state)
{
        static const double bounds[] = {1, 2};
        struct prom_family *f = add((struct prom_desc){PROM_HISTOGRAM, "h", .labels = NAMES("a"),
                                                       .buckets = bounds, .n_buckets = 2});
        struct prom_histogram *h = prom_histogram_with(f, "x");
        struct prom_snapshot s;
        prom_histogram_observe(h, 0.5);
        prom_histogram_observe(h, 1.5);
        assert_int_equal(prom_remove(f, "x"), 0);
        prom_histogram_observe(h, 5);
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.count, 0);
        assert_false(mentions("h_bucket"));
        assert_int_equal(prom_family_ignored(f), 1);
        assert_ptr_equal(prom_histogram_with(f, "x"), h);
        prom_histogram_observe(h, 1.75);
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.count, 1);
        assert_int_equal(s.buckets[1], 1);
        assert_true(s.sum == 1.75);
        assert_true(s.created_ms > 0);
        assert_true(shows("h_bucket{a=\"x\",le=\"1\"} 0\nh_bucket{a=\"x\",le=\"2\"} 1\n"
                          "h_bucket{a=\"x\",le=\"+Inf\"} 1\nh_sum{a=\"x\"} 1.75\n"
                          "h_count{a=\"x\"} 1"));
}

/* A value that decreases without a later time of creation would look like an error to a scraper, so
 * the times differ however fast the lives follow each other. */
/* An infinite sum stays infinite and never becomes NaN. */
static void an_overflowed_sum_stays_infinite(void **state)
{
        struct prom_family *cf =
                add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a")});
        struct prom_family *hf =
                add((struct prom_desc){PROM_HISTOGRAM, "h", .labels = NAMES("a"),
                                       .buckets = &(const double){1}, .n_buckets = 1});
        struct prom_counter *c = prom_counter_with(cf, "x");
        struct prom_histogram *up = prom_histogram_with(hf, "up");
        struct prom_histogram *down = prom_histogram_with(hf, "down");
        for (int i = 0; i < 2; i++) {
                prom_counter_add(c, DBL_MAX);
                prom_histogram_observe(up, DBL_MAX);
        }
        for (int life = 0; life < 2; life++) {
                assert_true(shows("c_total{a=\"x\"} +Inf"));
                assert_true(prom_counter_value(c) == (double)INFINITY);
                assert_true(shows("h_sum{a=\"up\"} +Inf"));
                assert_int_equal(prom_clear(cf), 1);
                assert_int_equal(prom_clear(hf), 2);
                assert_true(prom_counter_value(c) == 0);
                assert_ptr_equal(prom_counter_with(cf, "x"), c);
                assert_ptr_equal(prom_histogram_with(hf, "up"), up);
                assert_ptr_equal(prom_histogram_with(hf, "down"), down);
                assert_true(shows("h_count{a=\"up\"} 0"));
                assert_true(shows("h_sum{a=\"down\"} 0"));
        }
        prom_counter_inc(c);
        prom_histogram_observe(up, 0.5);
        assert_true(shows("c_total{a=\"x\"} +Inf"));
        assert_true(shows("h_bucket{a=\"up\",le=\"1\"} 1"));
        assert_true(shows("h_sum{a=\"up\"} +Inf"));

        for (int i = 0; i < 2; i++)
                prom_histogram_observe(down, -DBL_MAX);
        assert_true(shows("h_sum{a=\"down\"} -Inf"));
        assert_int_equal(prom_remove(hf, "down"), 0);
        assert_ptr_equal(prom_histogram_with(hf, "down"), down);
        assert_true(shows("h_sum{a=\"down\"} -Inf"));
        assert_int_equal(prom_family_ignored(cf) + prom_family_ignored(hf), 0);
}

static void each_life_has_a_later_time_of_creation(void **state)
{
        struct prom_family *f = add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "h"});
        struct prom_family *n =
                add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "n", .native_factor = 1.1});
        struct prom_snapshot s;
        int64_t before[2] = {0, 0};
        for (int i = 0; i < 200; i++) {
                prom_histogram_snapshot(prom_histogram_with(f), &s);
                assert_true(s.created_ms > before[0]);
                before[0] = s.created_ms;
                prom_histogram_snapshot(prom_histogram_with(n), &s);
                assert_true(s.created_ms > before[1]);
                before[1] = s.created_ms;
                assert_int_equal(prom_clear(f), 1);
                assert_int_equal(prom_clear(n), 1);
        }
}

static void a_series_without_labels_can_be_removed(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NULL});
        prom_counter_inc(prom_counter_with(f));
        assert_int_equal(prom_clear(f), 1);
        assert_int_equal(prom_clear(f), 0);
        assert_false(mentions("c_total"));
        prom_counter_inc(prom_counter_with(f));
        assert_true(shows("c_total 1"));
}

static void series_are_removed_by_some_of_their_labels(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("a", "b")});
        prom_gauge_with(f, "1", "x");
        prom_gauge_with(f, "1", "y");
        prom_gauge_with(f, "2", "x");
        assert_int_equal(prom_remove_partial(f, LABELS({"c", "1"})), -EINVAL);
        assert_int_equal(prom_remove_partial(f, LABELS({"a", "1"}, {"a", "1"})), -EINVAL);
        assert_int_equal(prom_family_ignored(f), 2);
        assert_int_equal(prom_remove_partial(f, LABELS({"a", "3"})), 0);
        assert_int_equal(prom_remove_partial(f, LABELS({"a", "1"}, {"b", "y"})), 1);
        assert_true(shows("g{a=\"1\",b=\"x\"} 0\ng{a=\"2\",b=\"x\"} 0"));
        assert_false(mentions("b=\"y\""));
        assert_int_equal(prom_remove_partial(f, LABELS({"b", "x"})), 2);
        assert_false(mentions("g{"));
        prom_gauge_with(f, "1", "y");
        assert_true(shows("g{a=\"1\",b=\"y\"} 0"));
        assert_int_equal(prom_clear(f), 1);
}

static void invalid_removals_are_refused_and_counted(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("a")});
        assert_int_equal(prom_remove(f), -EINVAL);
        assert_int_equal(prom_remove(f, "x", "y"), -EINVAL);
        assert_int_equal(prom_remove(f, "x"), -ENOENT);
        assert_int_equal(prom_remove(NULL, "x"), -EINVAL);
        assert_int_equal(prom_clear(NULL), -EINVAL);
        assert_int_equal(prom_remove_partial(NULL, LABELS({"a", "x"})), -EINVAL);
        assert_int_equal(prom_family_ignored(f), 2);
}

static void removed_series_make_room_for_others(void **state)
{
        struct prom_family *f = add(
                (struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("i"), .max_series = 2});
        char value[16];
        /* Creates as many series as allowed, again and again, until the memory of removed ones is
         * used up. */
        for (int i = 0; i < 2 * PROM_TOMBSTONES_FACTOR; i++) {
                snprintf(value, sizeof(value), "%d", i);
                assert_non_null(prom_counter_with(f, value));
                if (i > 0) {
                        snprintf(value, sizeof(value), "%d", i - 1);
                        assert_int_equal(prom_remove(f, value), 0);
                }
        }
        assert_int_equal(prom_family_overflows(f), 0);
        prom_counter_inc(prom_counter_with(f, "one more"));
        assert_int_equal(prom_family_overflows(f), 1);
        assert_true(shows("c_total{i=\"overflow\"} 1"));
        prom_counter_inc(prom_counter_with(f, "0")); /* forgotten, but not yet reusable */
        assert_int_equal(prom_family_overflows(f), 2);
        assert_true(shows("c_total{i=\"overflow\"} 2"));
        prom_clear(f);
        assert_false(mentions("c_total{"));
        prom_counter_inc(prom_counter_with(f, "yet another")); /* the overflow series comes back */
        assert_true(shows("c_total{i=\"overflow\"} 1"));
}

/* ---- curried families --------------------------------------------------------------------- */

static void a_curried_family_takes_the_remaining_labels(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a", "b", "c")});
        struct prom_family *b, *bc, *all;
        struct prom_error error;
        assert_int_equal(prom_curry(f, LABELS({"b", "2"}), &b, NULL), 0);
        struct prom_counter *c = prom_counter_with(b, "1", "3");
        assert_non_null(c);
        assert_ptr_equal(prom_counter_with(f, "1", "2", "3"), c);
        assert_ptr_equal(prom_counter_with(b, "1", "3"), c);
        assert_int_equal(prom_curry(b, LABELS({"c", "3"}), &bc, NULL), 0);
        assert_ptr_equal(prom_counter_with(bc, "1"), c);
        assert_int_equal(prom_curry(bc, LABELS({"a", "1"}), &all, NULL), 0);
        assert_ptr_equal(prom_counter_with(all), c);
        prom_counter_inc(prom_counter_with(all));
        assert_true(shows("c_total{a=\"1\",b=\"2\",c=\"3\"} 1"));

        assert_int_equal(prom_curry(b, LABELS({"b", "2"}), &bc, &error), -EINVAL);
        assert_non_null(strstr(error.msg, "c_total"));
        assert_int_equal(prom_curry(b, LABELS({"d", "2"}), &bc, &error), -EINVAL);
        assert_int_equal(prom_curry(NULL, LABELS({"d", "2"}), &bc, &error), -EINVAL);
        assert_null(prom_counter_with(b, "1", "2", "3"));
        assert_null(prom_gauge_with(b, "1", "3"));
        assert_int_equal(prom_family_ignored(b), 2);
        assert_int_equal(prom_family_ignored(f), 2);
}

static void *look_up_unclean(void *curried)
{
        char longest[2 * PROM_LABEL_VALUE_MAX];
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        const char *const bad = "\xff", *const cut = longest;
        struct prom_counter *of_bad = prom_counter_with_values(curried, &bad, 1);
        struct prom_counter *of_cut = prom_counter_with_values(curried, &cut, 1);
        return of_cut && of_cut != of_bad ? of_bad : NULL;
}

/* Values that have to be made valid are found without the lock as well. */
static void values_of_curried_families_are_made_valid(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a", "b")});
        struct prom_family *curried;
        struct timespec soon;
        pthread_t thread;
        void *found;
        assert_int_equal(prom_curry(f, LABELS({"b", "2"}), &curried, NULL), 0);
        struct prom_counter *c = look_up_unclean(curried);
        assert_non_null(c);
        assert_ptr_equal(prom_counter_with(f, "\xef\xbf\xbd", "2"), c);
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_sec += 20;
        pthread_mutex_lock(&prom_table_lock_);
        assert_int_equal(pthread_create(&thread, NULL, look_up_unclean, curried), 0);
        const int r = pthread_timedjoin_np(thread, &found, &soon);
        pthread_mutex_unlock(&prom_table_lock_);
        assert_int_equal(r, 0);
        assert_ptr_equal(found, c);
        prom_counter_inc(c);
        assert_int_equal(prom_remove(curried, "\xff"), 0);
        assert_ptr_equal(look_up_unclean(curried), c); /* it comes back */
        assert_true(prom_counter_value(c) == 0);
}

static void the_number_of_curried_families_is_bounded(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("a", "b")});
        struct prom_family *first, *same, *other;
        struct prom_error error;
        assert_int_equal(prom_curry(f, LABELS({"a", "0"}), &first, NULL), 0);
        assert_int_equal(prom_curry(f, LABELS({"b", "0"}), &other, NULL), 0);
        assert_ptr_not_equal(first, other);
        for (int i = 0; i < PROM_CURRIED_MAX - 1; i++) {
                char value[16];
                snprintf(value, sizeof(value), "%d", i);
                assert_int_equal(prom_curry(f, LABELS({"a", value}), &other, NULL), 0);
        }
        assert_int_equal(prom_curry(f, LABELS({"a", "0"}), &same, NULL), 0);
        assert_ptr_equal(same, first);
        assert_int_equal(prom_curry(f, LABELS({"a", "new"}), &other, &error), -ENOSPC);
        assert_non_null(strstr(error.msg, "metric g"));
}

static void a_curried_family_removes_only_its_series(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a", "b")});
        struct prom_family *x, *all;
        assert_int_equal(prom_curry(f, LABELS({"a", "x"}), &x, NULL), 0);
        assert_int_equal(prom_curry(x, LABELS({"b", "1"}), &all, NULL), 0);
        struct prom_counter *c = prom_counter_with(x, "1");
        prom_counter_inc(prom_counter_with(f, "y", "1"));
        prom_counter_inc(c);
        prom_counter_inc(prom_counter_with(all));
        assert_int_equal(prom_remove(x, "2"), -ENOENT);
        assert_int_equal(prom_remove(x, "1"), 0);
        assert_false(mentions("a=\"x\""));
        assert_ptr_equal(prom_counter_with(all), c); /* shows it again */
        assert_true(shows("c_total{a=\"x\",b=\"1\"} 0"));
        assert_int_equal(prom_remove(f, "x", "1"), 0);
        assert_ptr_equal(prom_counter_with(x, "1"), c);
        assert_true(shows("c_total{a=\"x\",b=\"1\"} 0"));
        prom_counter_with(x, "2");
        assert_int_equal(prom_clear(x), 2);
        assert_true(shows("c_total{a=\"y\",b=\"1\"} 1"));
        assert_int_equal(prom_remove(all), -ENOENT);
}

static void a_curried_family_gets_the_overflow_series(void **state)
{
        struct prom_family *x,
                *f = add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("a", "b"),
                                            .max_series = 1});
        assert_int_equal(prom_curry(f, LABELS({"a", "x"}), &x, NULL), 0);
        prom_counter_inc(prom_counter_with(x, "1"));
        prom_counter_inc(prom_counter_with(x, "2"));
        assert_true(shows("c_total{a=\"x\",b=\"1\"} 1\n"
                          "c_total{a=\"overflow\",b=\"overflow\"} 1"));
        assert_int_equal(prom_family_overflows(x), 1);
        assert_int_equal(prom_remove(x, "1"), 0);
        prom_counter_inc(prom_counter_with(x, "2")); /* there is room now */
        assert_true(shows("c_total{a=\"x\",b=\"2\"} 1"));
}

/* ---- expiry ------------------------------------------------------------------------------- */

static void an_idle_series_is_hidden_until_it_changes(void **state)
{
        /* Shorter than the time between any two scrapes. */
        struct prom_family *f = add((struct prom_desc){
                PROM_COUNTER, "c_total", .labels = NAMES("i"), .idle_timeout_s = 1e-9});
        struct prom_counter *a = prom_counter_with(f, "a"), *b = prom_counter_with(f, "b");
        prom_counter_add_int(a, 3);
        prom_counter_add_int(b, 4);
        assert_true(shows("c_total{i=\"a\"} 3\nc_total{i=\"b\"} 4"));
        prom_counter_inc(b);
        assert_true(shows("c_total{i=\"b\"} 5"));
        assert_false(mentions("i=\"a\""));
        assert_false(mentions("c_total{"));
        assert_false(mentions("# TYPE c_total"));
        prom_counter_inc(a); /* nothing was lost: the counter continues */
        assert_true(shows("c_total{i=\"a\"} 4"));
        assert_true(prom_counter_value(b) == 5);
        assert_ptr_equal(prom_counter_with(f, "b"), b); /* a look-up shows it again */
        assert_true(shows("c_total{i=\"b\"} 5"));
        assert_int_equal(prom_family_ignored(f), 0);
}

static void series_of_all_kinds_can_be_idle(void **state)
{
        struct prom_family *g = add((struct prom_desc){PROM_GAUGE, "g", .idle_timeout_s = 1e-9});
        struct prom_family *h =
                add((struct prom_desc){PROM_HISTOGRAM, "h", .idle_timeout_s = 1e-9});
        struct prom_family *slow =
                add((struct prom_desc){PROM_GAUGE, "slow", .idle_timeout_s = 1e6});
        struct prom_gauge *gauge = prom_gauge_with(g);
        struct prom_histogram *histogram = prom_histogram_with(h);
        assert_true(shows("g 0"));
        assert_false(mentions("\ng 0"));
        assert_false(mentions("h_count"));
        prom_gauge_set(gauge, 0); /* no change */
        assert_false(mentions("\ng 0"));
        prom_gauge_set(gauge, 1);
        prom_histogram_observe(histogram, 0);
        assert_true(shows("g 1"));
        prom_histogram_observe(histogram, 0);
        assert_true(shows("h_count 2"));
        assert_true(shows("slow 0"));
        prom_gauge_with(slow);
}

static void a_hidden_series_stays_hidden_in_a_full_family(void **state)
{
        struct prom_family *f = add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("i"),
                                                       .max_series = 1, .idle_timeout_s = 1e-9});
        struct prom_gauge *a = prom_gauge_with(f, "a");
        assert_true(shows("g{i=\"a\"} 0"));
        assert_false(mentions("g{"));
        prom_gauge_with(f, "b");
        prom_gauge_set(a, 5);
        assert_true(shows("g{i=\"b\"} 0"));
        assert_false(mentions("i=\"a\""));
}

static void descriptions_that_cannot_be_idle_are_refused(void **state)
{
        static const struct prom_desc bad[] = {
                {PROM_GAUGE, "g", "h", .idle_timeout_s = -1},
                {PROM_GAUGE, "g", "h", .idle_timeout_s = 1e300},
                {PROM_GAUGE, "g_seconds", "h", .unit = ""},
                {PROM_GAUGE, "g_seconds", "h", .unit = "bytes"},
                {PROM_GAUGE, "gseconds", "h", .unit = "seconds"},
                {PROM_GAUGE, "_seconds", "h", .unit = "seconds"},
                {PROM_GAUGE, "g_a b", "h", .unit = "a b"},
                {PROM_GAUGE, "g_seconds_total", "h", .unit = "seconds"},
        };
        static const struct prom_desc good[] = {
                {PROM_GAUGE, "g_seconds", "h", .unit = "seconds"},
                {PROM_COUNTER, "c_seconds_total", "h", .unit = "seconds"},
                {PROM_COUNTER, "d_seconds", "h", .unit = "seconds"},
        };
        struct prom_error error;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(prom_register(registry, &bad[i], NULL, &error), -EINVAL);
                assert_non_null(strstr(error.msg, bad[i].name));
        }
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_int_equal(prom_register(registry, &good[i], NULL, &error), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_removed_counter_comes_back_at_zero),
                TEST(a_removed_gauge_comes_back_at_zero),
                TEST(a_removed_histogram_comes_back_at_zero),
                TEST(an_overflowed_sum_stays_infinite),
                TEST(each_life_has_a_later_time_of_creation),
                TEST(a_series_without_labels_can_be_removed),
                TEST(series_are_removed_by_some_of_their_labels),
                TEST(invalid_removals_are_refused_and_counted),
                TEST(removed_series_make_room_for_others),
                TEST(a_curried_family_takes_the_remaining_labels),
                TEST(values_of_curried_families_are_made_valid),
                TEST(the_number_of_curried_families_is_bounded),
                TEST(a_curried_family_removes_only_its_series),
                TEST(a_curried_family_gets_the_overflow_series),
                TEST(an_idle_series_is_hidden_until_it_changes),
                TEST(series_of_all_kinds_can_be_idle),
                TEST(a_hidden_series_stays_hidden_in_a_full_family),
                TEST(descriptions_that_cannot_be_idle_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
