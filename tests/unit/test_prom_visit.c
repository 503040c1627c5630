/* SPDX-License-Identifier: Apache-2.0 */
/* A visit shows what a scrape shows. */
#include "prom/prom.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { TEXT_MAX = 8192 };

struct seen {
        char text[TEXT_MAX];
        size_t len;
        unsigned families, points;
        unsigned stop_after; /* points; 0: never */
};

static void add(struct seen *seen, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct seen *seen, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(seen->text + seen->len, TEXT_MAX - seen->len, fmt, args);
        va_end(args);
        assert_true(n >= 0 && (size_t)n < TEXT_MAX - seen->len);
        seen->len += (size_t)n;
}

static int write_down(const struct prom_view *family, const struct prom_point *point, void *data)
{
        struct seen *seen = data;
        if (!point) {
                seen->families++;
                add(seen, "%s %d \"%s\"", family->name, (int)family->kind, family->help);
                for (size_t i = 0; i < family->n_labels; i++)
                        add(seen, " %s", family->labels[i]);
                add(seen, "\n");
                return 0;
        }
        seen->points++;
        assert_true((point->created_ms > 0) == (family->kind == PROM_HISTOGRAM ||
                                                strcmp(family->name, "requests_total") == 0));
        add(seen, " ");
        for (size_t i = 0; i < point->n_labels; i++)
                add(seen, " %s=<%s>", point->labels[i].name, point->labels[i].value);
        if (!point->histogram) {
                add(seen, " %g\n", point->value);
        } else {
                const struct prom_snapshot *h = point->histogram;
                assert_int_equal(h->n_buckets, family->n_bounds);
                for (size_t i = 0; i <= h->n_buckets; i++)
                        add(seen, " %g:%d", i < h->n_buckets ? family->bounds[i] : 1e9,
                            (int)h->buckets[i]);
                add(seen, " sum %g count %d\n", h->sum, (int)h->count);
        }
        return seen->stop_after && seen->points == seen->stop_after ? -ECANCELED : 0;
}

static struct prom_family *declare(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_family *family = NULL;
        struct prom_error error;
        desc.help = "Help.";
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void collect_load(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 0.25, "first \"one\"\n");
        prom_emit(emitter, 0, 2, "");
        prom_emit(emitter, 0, 3, "first \"one\"\n"); /* twice: ignored */
}

static struct prom_registry *filled(void)
{
        static const struct prom_label version[] = {{"app", "a\\b"}, {"zone", "z\n"}, {NULL, NULL}};
        struct prom_registry *r = prom_registry_new();
        struct prom_family *requests = declare(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                                     .name = "requests_total",
                                                                     .labels = NAMES("way", "code"),
                                                                     .const_labels = version});
        struct prom_family *seconds =
                declare(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                              .name = "seconds",
                                              .buckets = (const double[]){0.5, 2},
                                              .n_buckets = 2});
        struct prom_family *depth =
                declare(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "depth"});
        declare(r, (struct prom_desc){
                           .kind = PROM_COUNTER, .name = "unused_total", .labels = NAMES("a")});
        const struct prom_desc load = {
                .kind = PROM_GAUGE, .name = "load", .help = "Help.", .labels = NAMES("pool")};
        assert_int_equal(prom_register_collector(r, &load, 1, collect_load, NULL, NULL, NULL), 0);
        prom_counter_add_int(prom_counter_with(requests, "in", "2\"0\\0"), 3);
        prom_counter_add(prom_counter_with(requests, "out", ""), 1.5);
        prom_gauge_set(prom_gauge_with(depth), -4);
        prom_histogram_observe(prom_histogram_with(seconds), 0.25);
        prom_histogram_observe(prom_histogram_with(seconds), 8);
        return r;
}

static void a_visit_shows_everything(void **state)
{
        struct prom_registry *r = filled();
        struct seen seen = {0};
        assert_int_equal(prom_visit(r, write_down, &seen), 0);
        assert_string_equal(
                seen.text, "depth 2 \"Help.\"\n"
                           "  -4\n"
                           "load 2 \"Help.\" pool\n"
                           "  pool=<first \"one\"\n> 0.25\n"
                           "  pool=<> 2\n"
                           "prom_collect_failures_total 1 \"Scrapes that omitted a metric because "
                           "its collector failed or did not return in time.\" family\n"
                           "prom_ignored_updates_total 1 \"Invalid updates of a metric, which were "
                           "ignored: a counter decreased, NaN, wrong kind or labels.\" family\n"
                           "  family=<load> 1\n"
                           "prom_series_overflow_total 1 \"Look-ups that returned the overflow "
                           "series because the metric has max_series series.\" family\n"
                           "requests_total 1 \"Help.\" way code\n"
                           "  app=<a\\b> code=<2\"0\\0> way=<in> zone=<z\n> 3\n"
                           "  app=<a\\b> code=<> way=<out> zone=<z\n> 1.5\n"
                           "seconds 3 \"Help.\"\n"
                           "  0.5:1 2:0 1e+09:1 sum 8.25 count 2\n"
                           "unused_total 1 \"Help.\" a\n");
        prom_registry_free(r);
}

/* The samples of a collector are in the next visit again, and duplicates are counted. */
static void a_visit_can_be_repeated(void **state)
{
        struct prom_registry *r = filled();
        struct seen first = {0}, second = {0};
        assert_int_equal(prom_visit(r, write_down, &first), 0);
        assert_int_equal(prom_visit(r, write_down, &second), 0);
        assert_int_equal(first.families, second.families);
        assert_int_equal(first.points, second.points);
        assert_non_null(strstr(second.text, "  family=<load> 2\n"));
        prom_registry_free(r);
}

static void a_visitor_can_stop_the_visit(void **state)
{
        struct prom_registry *r = filled();
        struct seen seen = {.stop_after = 2};
        assert_int_equal(prom_visit(r, write_down, &seen), -ECANCELED);
        assert_int_equal(seen.points, 2);
        assert_int_equal(seen.families, 2);
        prom_registry_free(r);
}

static void a_visit_shows_infos_and_states(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *info = declare(r, (struct prom_desc){.kind = PROM_INFO,
                                                                 .name = "app_info",
                                                                 .labels = NAMES("version")});
        struct prom_family *mode = declare(r, (struct prom_desc){.kind = PROM_STATESET,
                                                                 .name = "mode",
                                                                 .labels = NAMES("zone", "cell"),
                                                                 .states = NAMES("on", "off")});
        struct seen seen = {0};
        prom_info_set(info, "1.0");
        prom_stateset_choose(prom_stateset_with(mode, "z", "c"), 1);
        assert_int_equal(prom_visit(r, write_down, &seen), 0);
        assert_non_null(strstr(seen.text, "app_info 5 \"Help.\" version\n  version=<1.0> 1\n"));
        assert_non_null(strstr(seen.text, "mode 6 \"Help.\" zone cell\n"
                                          "  cell=<c> mode=<on> zone=<z> 0\n"
                                          "  cell=<c> mode=<off> zone=<z> 1\n"));
        prom_registry_free(r);
}

static int write_number(const struct prom_view *family, const struct prom_point *point,
                        const struct prom_sample *sample, void *data)
{
        add(data, "%s", sample->name);
        if (sample->extra)
                add(data, " %s=%s", sample->extra->name, sample->extra->value);
        add(data, " %g\n", sample->value);
        return strcmp(sample->name, "seconds_sum") == 0 ? -ECANCELED : 0;
}

static int write_numbers(const struct prom_view *family, const struct prom_point *point, void *data)
{
        return point ? prom_point_samples(family, point, write_number, data) : 0;
}

static void the_numbers_of_a_point_are_those_of_text(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *native = declare(
                r,
                (struct prom_desc){.kind = PROM_HISTOGRAM, .name = "native", .native_factor = 2});
        struct prom_family *both = declare(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                                                 .name = "both",
                                                                 .native_factor = 2,
                                                                 .buckets = (const double[]){1},
                                                                 .n_buckets = 1});
        struct seen seen = {0};
        prom_histogram_observe(prom_histogram_with(native), 3);
        prom_histogram_observe(prom_histogram_with(both), 0.5);
        assert_int_equal(prom_visit(r, write_numbers, &seen), 0);
        assert_string_equal(seen.text, "both_bucket le=1 1\nboth_bucket le=+Inf 1\n"
                                       "both_sum 0.5\nboth_count 1\n"
                                       "native_sum 3\nnative_count 1\n");
        prom_registry_free(r);

        r = filled();
        memset(&seen, 0, sizeof(seen));
        assert_int_equal(prom_visit(r, write_numbers, &seen), -ECANCELED);
        assert_string_equal(strstr(seen.text, "requests"),
                            "requests_total 3\nrequests_total 1.5\nseconds_bucket le=0.5 1\n"
                            "seconds_bucket le=2 1\nseconds_bucket le=+Inf 2\nseconds_sum 8.25\n");
        prom_registry_free(r);
}

static int write_exemplars(const struct prom_view *family, const struct prom_point *point,
                           const struct prom_sample *sample, void *data)
{
        struct prom_exemplar e;
        if (prom_point_exemplar(point, sample->slot, &e) < 0)
                return 0;
        add(data, "%s%s%s %g", sample->name, sample->extra ? " " : "",
            sample->extra ? sample->extra->value : "", e.value);
        for (size_t i = 0; i < e.n_labels; i++)
                add(data, " %s=<%s>", e.labels[i].name, e.labels[i].value);
        add(data, "\n");
        assert_true(e.time_ms > 0);
        return 0;
}

static int find_exemplars(const struct prom_view *family, const struct prom_point *point,
                          void *data)
{
        return point ? prom_point_samples(family, point, write_exemplars, data) : 0;
}

static void a_visit_shows_exemplars(void **state)
{
        static const struct prom_label one[] = {{"trace_id", "a\n"}, {"span", "s"}, {NULL, NULL}};
        static const struct prom_label empty[] = {{"x", ""}, {NULL, NULL}};
        struct prom_registry *r = prom_registry_new();
        struct prom_family *jobs =
                declare(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "jobs_total"});
        struct prom_family *wait = declare(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                                                 .name = "wait",
                                                                 .buckets = (const double[]){1, 2},
                                                                 .n_buckets = 2});
        struct seen seen = {0};
        prom_counter_inc(prom_counter_with(jobs));
        assert_int_equal(prom_visit(r, find_exemplars, &seen), 0);
        assert_string_equal(seen.text, "");
        prom_counter_add_exemplar(prom_counter_with(jobs), 2, one);
        prom_histogram_observe_exemplar(prom_histogram_with(wait), 1.5, empty);
        prom_histogram_observe_exemplar(prom_histogram_with(wait), 9, one);
        assert_int_equal(prom_visit(r, find_exemplars, &seen), 0);
        assert_string_equal(seen.text, "jobs_total 2 trace_id=<a\n> span=<s>\n"
                                       "wait_bucket 2 1.5 x=<>\n"
                                       "wait_bucket +Inf 9 trace_id=<a\n> span=<s>\n");
        prom_registry_free(r);
}

static void a_visit_shows_summaries(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                declare(r, (struct prom_desc){.kind = PROM_SUMMARY,
                                              .name = "size",
                                              .quantiles = (const double[]){0.5},
                                              .n_quantiles = 1});
        struct seen seen = {0};
        for (int i = 0; i < 9; i++)
                prom_summary_observe(prom_summary_with(family), 4);
        assert_int_equal(prom_visit(r, write_numbers, &seen), 0);
        double median;
        int n = 0;
        assert_int_equal(sscanf(seen.text, "size quantile=0.5 %lf\nsize_sum 36\nsize_count 9\n%n",
                                &median, &n),
                         1);
        assert_int_equal(n, strlen(seen.text));
        assert_true(median > 3.9 && median < 4.1);
        prom_registry_free(r);
}

/* Enough samples to make the text of the collectors move while it grows. */
static void collect_many(struct prom_emitter *emitter, void *data)
{
        char name[32];
        for (int i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "sample %d", i);
                prom_emit(emitter, 0, i, name);
        }
}

static int sum_up(const struct prom_view *family, const struct prom_point *point, void *data)
{
        char name[32];
        double *sum = data;
        if (point && strcmp(family->name, "many") == 0) {
                snprintf(name, sizeof(name), "sample %d", (int)point->value);
                assert_string_equal(point->labels[0].value, name);
                *sum += point->value;
        }
        return 0;
}

static void a_visit_shows_many_samples(void **state)
{
        struct prom_registry *r = prom_registry_new();
        const struct prom_desc many = {
                .kind = PROM_GAUGE, .name = "many", .help = "Many.", .labels = NAMES("name")};
        double sum = 0;
        assert_int_equal(prom_register_collector(r, &many, 1, collect_many, NULL, NULL, NULL), 0);
        assert_int_equal(prom_visit(r, sum_up, &sum), 0);
        assert_int_equal((int)sum, 499 * 500 / 2);
        prom_registry_free(r);
}

/* ---- beside others ------------------------------------------------------------------------ */

enum { ROUNDS = 3000, WORKERS = 2 };

struct work {
        struct prom_family *jobs, *wait;
};

static void *update(void *data)
{
        struct work *work = data;
        for (int i = 0; i < ROUNDS; i++) {
                char n[16];
                snprintf(n, sizeof(n), "%d", i % 500);
                prom_counter_inc(prom_counter_with(work->jobs, n));
                prom_histogram_observe(prom_histogram_with(work->wait), i % 3);
                prom_remove(work->wait);
                if (i % 7 == 0)
                        prom_remove(work->jobs, n);
        }
        return NULL;
}

/* The count and the buckets of each histogram agree, and no removed series has a value. */
static int check_whole(const struct prom_view *family, const struct prom_point *point, void *data)
{
        unsigned *visited = data;
        if (!point || !point->histogram)
                return 0;
        uint64_t sum = 0;
        for (size_t i = 0; i <= point->histogram->n_buckets; i++)
                sum += point->histogram->buckets[i];
        assert_int_equal(sum, point->histogram->count);
        assert_true(point->created_ms > 0);
        ++*visited;
        return 0;
}

static void concurrent_visits_are_independent(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct work work = {
                .jobs = declare(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                      .name = "jobs_total",
                                                      .labels = NAMES("n")}),
                .wait = declare(r, (struct prom_desc){.kind = PROM_HISTOGRAM, .name = "wait"})};
        pthread_t threads[WORKERS];
        unsigned visited = 0;
        for (int i = 0; i < WORKERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, update, &work), 0);
        for (int i = 0; i < 50; i++)
                assert_int_equal(prom_visit(r, check_whole, &visited), 0);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
        prom_histogram_observe(prom_histogram_with(work.wait), 1);
        unsigned before = visited;
        assert_int_equal(prom_visit(r, check_whole, &visited), 0);
        assert_int_equal(visited, before + 1);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_visit_shows_everything),
                cmocka_unit_test(a_visit_can_be_repeated),
                cmocka_unit_test(a_visitor_can_stop_the_visit),
                cmocka_unit_test(a_visit_shows_infos_and_states),
                cmocka_unit_test(the_numbers_of_a_point_are_those_of_text),
                cmocka_unit_test(a_visit_shows_exemplars),
                cmocka_unit_test(a_visit_shows_summaries),
                cmocka_unit_test(concurrent_visits_are_independent),
                cmocka_unit_test(a_visit_shows_many_samples),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
