/* SPDX-License-Identifier: Apache-2.0 */
/* Recycling: what handles of removed series may rely on, and what recycled series show. */
#include "prom/exemplar.h"
#include "prom/grace.h"
#include "prom/table.h"
#include "prom_fixture.h"
#include "sanitized.h"

#include <malloc.h>

enum { CAP = 4, KEPT = CAP * PROM_KEPT_FACTOR, WHOLE = CAP * PROM_TOMBSTONES_FACTOR };

static int set_up_without_grace(void **state)
{
        prom_grace_ns_ = 0;
        return set_up(state);
}

static int tear_down_grace(void **state)
{
        prom_grace_ns_ = PROM_HANDLE_GRACE_S * UINT64_C(1000000000);
        return tear_down(state);
}

static const char *number(int i)
{
        static char text[16];
        snprintf(text, sizeof(text), "%d", i);
        return text;
}

static struct prom_family *counters(void)
{
        return add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("i", "way"),
                                      .max_series = CAP});
}

/* Creates, updates and removes the series begin to end - 1. */
static void churn(struct prom_family *f, int begin, int end)
{
        for (int i = begin; i < end; i++) {
                prom_counter_inc(prom_counter_with(f, number(i), "in"));
                assert_int_equal(prom_remove(f, number(i), "in"), 0);
        }
}

/* New label values for ever, with everything that a series can have, in bounded memory. */
static void label_values_may_come_and_go_for_ever(void **state)
{
        const double bounds[] = {1, 2};
        struct prom_family *f = counters();
        struct prom_family *h = add((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                       .name = "h",
                                                       .labels = NAMES("i"),
                                                       .buckets = bounds,
                                                       .n_buckets = 2,
                                                       .native_factor = 1.1,
                                                       .max_series = CAP});
        struct prom_family *s =
                add((struct prom_desc){PROM_SUMMARY, "s", .labels = NAMES("i"), .max_series = CAP});
        struct prom_family *g =
                add((struct prom_desc){PROM_GAUGE, "g", .labels = NAMES("i"), .max_series = CAP});
        size_t settled = 0;
        char text[64], long_value[PROM_LABEL_VALUE_MAX];
        for (int i = 0; i < 5000; i++) {
                churn(f, i, i + 1);
                snprintf(long_value, sizeof(long_value), "%d%*s", i, i % 500, "x");
                prom_histogram_observe(prom_histogram_with(h, long_value), i);
                prom_summary_observe(prom_summary_with(s, number(i)), i);
                prom_gauge_set(prom_gauge_with(g, number(i)), i);
                if (i % 16 == 0) {
                        snprintf(text, sizeof(text), "\ng{i=\"%d\"} %d\n", i, i);
                        assert_true(mentions(text));
                        snprintf(text, sizeof(text), "\ns_count{i=\"%d\"} 1\n", i);
                        assert_non_null(strstr(buf.data, text));
                }
                assert_int_equal(prom_clear(h), 1);
                assert_int_equal(prom_clear(s), 1);
                assert_int_equal(prom_clear(g), 1);
                if (i == 1000)
                        settled = mallinfo2().uordblks;
        }
        assert_int_equal(prom_family_overflows(f) + prom_family_overflows(h) +
                                 prom_family_overflows(s) + prom_family_overflows(g),
                         0);
        assert_true(SANITIZED || mallinfo2().uordblks < settled + 100000);
}

/* A recycled series shows nothing of its past, in any format, and has its own time of creation. */
static void a_recycled_series_starts_at_zero(void **state)
{
        struct prom_family *f = counters();
        struct prom_counter *first = prom_counter_with(f, "old", "in");
        struct exemplar e;
        prom_counter_add_exemplar(first, 0.1, LABELS({"trace", "t"}));
        prom_counter_add(first, 1e308);
        prom_counter_add(first, 1e308);
        assert_true(mentions("c_total{i=\"old\",way=\"in\"} +Inf"));
        const int64_t created_ms = ((struct prom_series *)first)->cold->created_ms;
        prom_remove(f, "old", "in");
        churn(f, 0, KEPT); /* as many as can come back */
        struct prom_counter *again = prom_counter_with(f, "a \"new\" one", "out");
        assert_ptr_equal(again, first);
        assert_false(prom_read_exemplar_((struct prom_series *)again, 0, &e));
        assert_true(((struct prom_series *)again)->cold->created_ms > created_ms);
        assert_true(prom_counter_value(again) == 0);
        prom_counter_add(again, 0.25);
        assert_true(mentions("c_total{i=\"a \\\"new\\\" one\",way=\"out\"} 0.25\n"));
        assert_null(strstr(buf.data, "old"));
        const struct prom_format others[] = {{PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8},
                                             {PROM_PROTOBUF_DELIMITED, PROM_ALLOW_UTF8}};
        for (int i = 0; i < 2; i++) {
                assert_int_equal(prom_render(registry, others[i], NULL, &buf), 0);
                assert_non_null(memmem(buf.data, buf.len, "new", 3));
                assert_null(memmem(buf.data, buf.len, "old", 3));
        }
        assert_ptr_not_equal(prom_counter_with(f, "old", "in"), again);
}

/* The KEPT series removed last come back, however many were created since. */
static void the_series_removed_last_can_come_back(void **state)
{
        struct prom_family *f = counters();
        churn(f, 0, 10 * WHOLE);
        struct prom_counter *handles[KEPT];
        for (int i = 0; i < KEPT; i++) {
                handles[i] = prom_counter_with(f, "kept", number(i));
                prom_remove(f, "kept", number(i));
        }
        churn(f, 10 * WHOLE, 10 * WHOLE + 1);
        for (int i = 1; i < CAP; i++) {
                prom_counter_inc(handles[i]); /* ignored */
                assert_ptr_equal(prom_counter_with(f, "kept", number(i)), handles[i]);
                assert_true(prom_counter_value(handles[i]) == 0);
        }
        assert_int_equal(prom_family_ignored(f), CAP - 1);
}

/* Nothing is recycled before the grace period is over, nor during a visit. */
static void no_series_is_recycled_within_the_grace_period(void **state)
{
        struct prom_family *f = counters();
        prom_grace_ns_ = UINT64_MAX / 2;
        churn(f, 0, WHOLE);
        assert_int_equal(prom_family_overflows(f), 0);
        (void)prom_counter_with(f, "one more", "in");
        assert_int_equal(prom_family_overflows(f), 1);
}

static int make_one(const struct prom_view *view, const struct prom_point *point, void *data)
{
        const char *label = point && point->n_labels ? point->labels[0].value : "";
        if (strcmp(label, "shown") == 0) {
                (void)prom_counter_with(data, "made in a visit", "in");
                assert_string_equal(label, "shown");
        }
        return 0;
}

static void no_series_is_recycled_during_a_visit(void **state)
{
        struct prom_family *f = counters();
        prom_grace_ns_ = UINT64_MAX / 2;
        churn(f, 0, 2 * KEPT);
        prom_grace_ns_ = 0;
        churn(f, 2 * KEPT, 2 * KEPT + 1); /* the first of them sees the end of the visit */
        (void)prom_counter_with(f, "shown", "in");
        const size_t made = f->n_series;
        assert_int_equal(prom_visit(registry, make_one, f), 0);
        assert_int_equal(f->n_series, made + 1);
        assert_int_equal(prom_family_overflows(f), 0);
        (void)prom_counter_with(f, "afterwards", "in");
        assert_int_equal(f->n_series, made + 1);
}

/* A curried family forgets the series that its base recycled, and finds the new ones. */
static void curried_families_forget_recycled_series(void **state)
{
        struct prom_family *f = counters(), *in, *one;
        const char *way = number(7), *i = "x";
        assert_int_equal(prom_curry(f, LABELS({"way", "in"}), &in, NULL), 0);
        assert_int_equal(prom_curry(in, LABELS({"i", "x"}), &one, NULL), 0);
        struct prom_counter *first = prom_counter_with_values(one, NULL, 0);
        assert_ptr_equal(prom_counter_with(in, i), first);
        prom_remove(f, "x", "in");
        for (int n = 0; n < 10 * WHOLE; n++) {
                prom_counter_inc(prom_counter_with(in, number(n)));
                assert_int_equal(prom_remove(in, number(n)), 0);
        }
        struct prom_counter *c = prom_counter_with(in, i);
        assert_ptr_equal(prom_counter_with_values(one, NULL, 0), c);
        assert_ptr_equal(prom_counter_with(f, "x", "in"), c);
        prom_counter_inc(c);
        assert_true(mentions("c_total{i=\"x\",way=\"in\"} 1\n"));
        assert_ptr_not_equal(prom_counter_with(f, "x", way), c);
        assert_int_equal(prom_family_overflows(f), 0);
}

/* Idle series that are removed make room; hidden ones do not. */
static void idle_series_are_recycled(void **state)
{
        for (int removed = 0; removed < 2; removed++) {
                struct prom_family *f = add((struct prom_desc){
                        PROM_COUNTER, removed ? "r_total" : "h_total", .labels = NAMES("i"),
                        .idle_timeout_s = 1e-9, .idle_remove = removed, .max_series = CAP});
                for (int i = 0; i < 2 * WHOLE; i++) {
                        prom_counter_inc(prom_counter_with(f, number(i)));
                        (void)mentions("");
                        (void)mentions("");
                }
                assert_int_equal(prom_family_overflows(f) > 0, !removed);
        }
        struct prom_error error;
        struct prom_family *f;
        assert_true(prom_register(registry,
                                  &(struct prom_desc){.kind = PROM_GAUGE,
                                                      .name = "g",
                                                      .help = "h",
                                                      .idle_remove = true},
                                  &f, &error) < 0);
        assert_string_equal(error.msg, "metric g: idle_remove needs an idle_timeout_s");
}

/* Tables in which keys come and go find exactly the keys that are in them. */
static void tables_stay_correct_while_keys_are_removed(void **state)
{
        enum { N = 500, ROUNDS = 20000 };
        struct prom_family *f = add((struct prom_desc){PROM_COUNTER, "c_total",
                                                       .labels = NAMES("i"), .max_series = N + 1});
        bool there[2 * N] = {false};
        size_t n = 0;
        uint32_t random = 1;
        for (int round = 0; round < ROUNDS; round++) {
                random = random * 1664525 + 1013904223;
                const int i = (int)(random >> 8) % (2 * N);
                const char *value = number(i);
                if (there[i]) {
                        assert_int_equal(prom_remove(f, value), 0);
                        there[i] = false;
                        n--;
                } else if (n < N) {
                        struct prom_counter *c = prom_counter_with_values(f, &value, 1);
                        assert_true(prom_counter_value(c) == 0);
                        prom_counter_add_int(c, (uint64_t)i);
                        there[i] = true;
                        n++;
                }
        }
        for (int i = 0; i < 2 * N; i++) {
                const char *value = number(i);
                struct key *key = prom_table_find_(f, &value);
                const bool live = key && key->series->state == SERIES_LIVE;
                assert_int_equal(live, there[i]);
                if (live)
                        assert_true(prom_counter_value((struct prom_counter *)key->series) == i);
        }
        assert_int_equal(f->n_live, n);
        assert_int_equal(prom_family_overflows(f), 0);
        assert_int_equal(prom_family_ignored(f), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up_without_grace, tear_down_grace)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(label_values_may_come_and_go_for_ever),
                CASE(a_recycled_series_starts_at_zero),
                CASE(the_series_removed_last_can_come_back),
                CASE(no_series_is_recycled_within_the_grace_period),
                CASE(no_series_is_recycled_during_a_visit),
                CASE(curried_families_forget_recycled_series),
                CASE(idle_series_are_recycled),
                CASE(tables_stay_correct_while_keys_are_removed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
