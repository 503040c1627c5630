/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMetrics: golden text, creation times, and the name[] filter. */
#include "prom/prom.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct prom_format open_metrics = {PROM_OPENMETRICS_1_0_0, PROM_ESCAPE_UNDERSCORES};
static const struct prom_format text = {PROM_TEXT_0_0_4, PROM_ESCAPE_UNDERSCORES};

static struct prom_family *add(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        desc.help = desc.help ? desc.help : "h";
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void expect(struct prom_registry *r, struct prom_format format,
                   const struct prom_render_options *options, const char *expected)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render(r, format, options, &buf), 0);
        assert_string_equal(buf.data, expected);
        assert_int_equal(buf.len, strlen(expected));
        prom_buf_release(&buf);
}

static void a_scrape_matches_the_golden_text(void **state)
{
        struct prom_registry *r = prom_registry_new();
        expect(r, open_metrics, NULL, "# EOF\n");
        struct prom_family *requests = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                                 .name = "requests_total",
                                                                 .help = "The \"requests\"\\\n.",
                                                                 .labels = NAMES("path")});
        struct prom_family *plain =
                add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "plain"});
        struct prom_family *seconds =
                add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                          .name = "wait_seconds",
                                          .unit = "seconds",
                                          .labels = NAMES("op"),
                                          .buckets = (const double[]){5e-05, 0.1, 1, 123456, 1e6},
                                          .n_buckets = 5});
        prom_counter_add_int(prom_counter_with(requests, "/\n"), 1000000);
        prom_counter_add(prom_counter_with(plain), 0.25);
        prom_histogram_observe(prom_histogram_with(seconds, "x"), 1);
        prom_histogram_observe(prom_histogram_with(seconds, "x"), 2e6);
        expect(r, open_metrics, NULL,
               "# HELP plain h\n# TYPE plain counter\nplain_total 0.25\n"
               "# HELP requests The \\\"requests\\\"\\\\\\n.\n# TYPE requests counter\n"
               "requests_total{path=\"/\\n\"} 1000000\n"
               "# HELP wait_seconds h\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n"
               "wait_seconds_bucket{op=\"x\",le=\"5e-05\"} 0\n"
               "wait_seconds_bucket{op=\"x\",le=\"0.1\"} 0\n"
               "wait_seconds_bucket{op=\"x\",le=\"1.0\"} 1\n"
               "wait_seconds_bucket{op=\"x\",le=\"123456.0\"} 1\n"
               "wait_seconds_bucket{op=\"x\",le=\"1e+06\"} 1\n"
               "wait_seconds_bucket{op=\"x\",le=\"+Inf\"} 2\n"
               "wait_seconds_sum{op=\"x\"} 2000001\n"
               "wait_seconds_count{op=\"x\"} 2\n"
               "# EOF\n");
        prom_registry_free(r);
}

static void creation_times_are_shown_on_request(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *c =
                add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "c", .labels = NAMES("l")});
        struct prom_family *h = add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                                          .name = "h",
                                                          .buckets = (const double[]){1},
                                                          .n_buckets = 1});
        prom_counter_inc(prom_counter_with(c, "a"));
        struct prom_snapshot snapshot;
        prom_histogram_snapshot(prom_histogram_with(h), &snapshot);
        struct prom_buf buf = PROM_BUF_INIT;
        const struct prom_render_options options = {.created = true};
        assert_int_equal(prom_render(r, open_metrics, &options, &buf), 0);
        char line[128];
        snprintf(line, sizeof(line), "h_sum 0\nh_count 0\nh_created %lld.%03lld\n# EOF\n",
                 (long long)snapshot.created_ms / 1000, (long long)snapshot.created_ms % 1000);
        assert_non_null(strstr(buf.data, line));
        assert_non_null(strstr(buf.data, "\nc_total{l=\"a\"} 1\nc_created{l=\"a\"} 1"));
        assert_int_equal(prom_render(r, text, &options, &buf), 0);
        assert_null(strstr(buf.data, "_created"));
        prom_buf_release(&buf);
        prom_registry_free(r);
}

/* OpenMetrics forbids a sum if bounds are negative, and a count without a sum. */
static void negative_bounds_hide_sum_and_count(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *h = add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                                          .name = "h",
                                                          .buckets = (const double[]){-1, 0},
                                                          .n_buckets = 2});
        prom_histogram_observe(prom_histogram_with(h), -0.5);
        expect(r, open_metrics, NULL,
               "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"-1.0\"} 0\nh_bucket{le=\"0.0\"} 1\n"
               "h_bucket{le=\"+Inf\"} 1\n# EOF\n");
        expect(r, text, NULL,
               "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"-1\"} 0\nh_bucket{le=\"0\"} 1\n"
               "h_bucket{le=\"+Inf\"} 1\nh_sum -0.5\nh_count 1\n");
        prom_registry_free(r);
}

static int collected;

static void collect(struct prom_emitter *emitter, void *data)
{
        collected++;
        prom_emit(emitter, 0, 1.5, "x");
        prom_emit(emitter, 1, 2);
}

static void a_filter_selects_families_by_any_name(void **state)
{
        struct prom_registry *r = prom_registry_new();
        const struct prom_desc descs[] = {
                {.kind = PROM_GAUGE, .name = "made", .help = "h", .labels = NAMES("l")},
                {.kind = PROM_COUNTER, .name = "more_total", .help = "h"}};
        assert_int_equal(prom_register_collector(r, descs, 2, collect, NULL, NULL, NULL), 0);
        add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "g"});
        add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                  .name = "h",
                                  .buckets = (const double[]){1},
                                  .n_buckets = 1});
        static const struct {
                const char *name, *body;
        } rows[] = {
                {"g", "# HELP g h\n# TYPE g gauge\ng 0\n"},
                {"g_total", ""},
                {"g_sum", ""},
                {"", ""},
                {"c_total", "# HELP c_total h\n# TYPE c_total counter\nc_total 0\n"},
                {"c", "# HELP c_total h\n# TYPE c_total counter\nc_total 0\n"},
                {"c_created", "# HELP c_total h\n# TYPE c_total counter\nc_total 0\n"},
                {"h_bucket", "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 0\n"
                             "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n"},
                {"h_buckets", ""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                expect(r, text, &(struct prom_render_options){.names = &rows[i].name, .n_names = 1},
                       rows[i].body);
        /* No scrape has called the collector. */
        assert_int_equal(collected, 0);
        const char *const both[] = {"more", "nothing", "g"};
        expect(r, open_metrics, &(struct prom_render_options){.names = both, .n_names = 3},
               "# HELP g h\n# TYPE g gauge\ng 0\n# HELP more h\n# TYPE more counter\n"
               "more_total 2\n# EOF\n");
        assert_int_equal(collected, 1);
        prom_registry_free(r);
}

static void an_unknown_format_is_rejected(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_buf buf = PROM_BUF_INIT;
        struct prom_format format = {(enum prom_format_kind)5, PROM_ALLOW_UTF8};
        assert_int_equal(prom_render(r, format, NULL, &buf), -EINVAL);
        format = (struct prom_format){PROM_TEXT_0_0_4, (enum prom_escaping)4};
        assert_int_equal(prom_render(r, format, NULL, &buf), -EINVAL);
        assert_int_equal(buf.len, 0);
        prom_buf_release(&buf);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_scrape_matches_the_golden_text),
                cmocka_unit_test(creation_times_are_shown_on_request),
                cmocka_unit_test(negative_bounds_hide_sum_and_count),
                cmocka_unit_test(a_filter_selects_families_by_any_name),
                cmocka_unit_test(an_unknown_format_is_rejected),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
