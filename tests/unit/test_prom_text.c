/* SPDX-License-Identifier: Apache-2.0 */
/* The text format: golden text, escaping, and the judgement of promtool. */
#include "prom/prom.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct prom_family *add(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void expect_text(struct prom_registry *r, const char *expected)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_string_equal(buf.data, expected);
        assert_int_equal(buf.len, strlen(expected));
        prom_buf_release(&buf);
}

static void a_scrape_matches_the_golden_text(void **state)
{
        struct prom_registry *r = prom_registry_new();
        expect_text(r, "");
        struct prom_family *requests = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                                 .name = "z_requests_total",
                                                                 .help = "Requests.",
                                                                 .labels = NAMES("path", "code")});
        struct prom_family *level =
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "level", .help = "A level."});
        struct prom_family *seconds = add(
                r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                      .name = "a_seconds",
                                      .help = "Time.",
                                      .labels = NAMES("op"),
                                      .const_labels = (const struct prom_label[]){{"zone", "z"},
                                                                                  {"host", "h\"1"},
                                                                                  {NULL, NULL}},
                                      .buckets = (const double[]){5e-05, 0.1, 1e21, INFINITY},
                                      .n_buckets = 4});
        /* Families without series are left out. A family without labels has its series from the
         * start. */
        expect_text(r, "# HELP level A level.\n# TYPE level gauge\nlevel 0\n");

        prom_counter_add_int(prom_counter_with(requests, "/b", "200"), 12345678901234567890u);
        prom_counter_add(prom_counter_with(requests, "/a", "404"), 0.5);
        prom_gauge_set(prom_gauge_with(level), -INFINITY);
        prom_histogram_observe(prom_histogram_with(seconds, "read"), 0.1);
        prom_histogram_observe(prom_histogram_with(seconds, "read"), 2);
        prom_histogram_observe(prom_histogram_with(seconds, "read"), 1e300);
        expect_text(r, "# HELP a_seconds Time.\n"
                       "# TYPE a_seconds histogram\n"
                       "a_seconds_bucket{host=\"h\\\"1\",op=\"read\",zone=\"z\",le=\"5e-05\"} 0\n"
                       "a_seconds_bucket{host=\"h\\\"1\",op=\"read\",zone=\"z\",le=\"0.1\"} 1\n"
                       "a_seconds_bucket{host=\"h\\\"1\",op=\"read\",zone=\"z\",le=\"1e+21\"} 2\n"
                       "a_seconds_bucket{host=\"h\\\"1\",op=\"read\",zone=\"z\",le=\"+Inf\"} 3\n"
                       "a_seconds_sum{host=\"h\\\"1\",op=\"read\",zone=\"z\"} 1e+300\n"
                       "a_seconds_count{host=\"h\\\"1\",op=\"read\",zone=\"z\"} 3\n"
                       "# HELP level A level.\n"
                       "# TYPE level gauge\n"
                       "level -Inf\n"
                       "# HELP z_requests_total Requests.\n"
                       "# TYPE z_requests_total counter\n"
                       "z_requests_total{code=\"200\",path=\"/b\"} 12345678901234567890\n"
                       "z_requests_total{code=\"404\",path=\"/a\"} 0.5\n");
        prom_registry_free(r);
}

static void a_histogram_without_labels_has_only_le(void **state)
{
        struct prom_registry *r = prom_registry_new();
        add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                  .name = "h",
                                  .help = "",
                                  .buckets = (const double[]){1},
                                  .n_buckets = 1});
        expect_text(r, "# HELP h \n# TYPE h histogram\nh_bucket{le=\"1\"} 0\n"
                       "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n");
        prom_registry_free(r);
}

static void help_and_label_values_are_escaped(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                add(r, (struct prom_desc){.kind = PROM_GAUGE,
                                          .name = "g",
                                          .help = "back\\slash \"quoted\"\nnext \xc3\xbc",
                                          .labels = NAMES("l")});
        prom_gauge_set(prom_gauge_with(family, "a\\b\"c\nd\te\xf0\x9f\x8c\x8b"), 1);
        prom_gauge_set(prom_gauge_with(family, ""), 2);
        prom_gauge_set(prom_gauge_with(family, "} 1\ng{l=\"injected"), 3);
        expect_text(r, "# HELP g back\\\\slash \"quoted\"\\nnext \xc3\xbc\n"
                       "# TYPE g gauge\n"
                       "g{l=\"a\\\\b\\\"c\\nd\te\xf0\x9f\x8c\x8b\"} 1\n"
                       "g{l=\"\"} 2\n"
                       "g{l=\"} 1\\ng{l=\\\"injected\"} 3\n");
        prom_registry_free(r);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
        const char *set = setlocale(LC_ALL, "de_DE.UTF-8");
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "g", .help = "h"});
        prom_gauge_set(prom_gauge_with(family), 1234567.5);
        expect_text(r, "# HELP g h\n# TYPE g gauge\ng 1234567.5\n");
        prom_registry_free(r);
        setlocale(LC_ALL, "C");
        if (!set)
                print_message("no German locale here: shown in the C locale only\n");
}

static void a_second_scrape_reuses_the_buffer(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                               .name = "many_total",
                                                               .help = "h",
                                                               .labels = NAMES("i")});
        for (int i = 0; i < 900; i++) {
                char value[16];
                snprintf(value, sizeof(value), "%d", i);
                prom_counter_add_int(prom_counter_with(family, value), (uint64_t)i);
        }
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        char *data = buf.data, *copy = strdup(buf.data);
        size_t cap = buf.cap;
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_ptr_equal(buf.data, data);
        assert_int_equal(buf.cap, cap);
        assert_string_equal(buf.data, copy);
        assert_non_null(strstr(buf.data, "\nmany_total{i=\"899\"} 899\n"));
        free(copy);
        prom_buf_release(&buf);
        assert_null(buf.data);
        prom_registry_free(r);
}

static void promtool_accepts_a_scrape(void **state)
{
        if (system("command -v promtool >/dev/null 2>&1") != 0) {
                print_message("skip: promtool is not installed (package prometheus)\n");
                skip();
        }
        struct prom_registry *r = prom_registry_new();
        struct prom_family *requests = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                                 .name = "app_requests_total",
                                                                 .help = "Requests \\ \n.",
                                                                 .labels = NAMES("path"),
                                                                 .max_series = 2});
        struct prom_family *seconds =
                add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                          .name = "app_request_duration_seconds",
                                          .help = "Time.",
                                          .labels = NAMES("path")});
        for (int i = 0; i < 300; i++) {
                char path[8];
                snprintf(path, sizeof(path), "/\\\"\n%c", 1 + i % 255);
                prom_counter_add(prom_counter_with(requests, path), i / 7.0);
                prom_histogram_observe(prom_histogram_with(seconds, path), i / 100.0);
        }
        prom_counter_add(prom_counter_with(requests, "x"), -1);
        assert_int_equal(prom_register_process_collector(r, NULL), 0);
        assert_int_equal(prom_register_build_info(
                                 r, "app_build_info",
                                 (const struct prom_label[]){{"version", "1.0"}, {NULL, NULL}},
                                 NULL),
                         0);
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        FILE *promtool = popen("promtool check metrics", "w");
        assert_non_null(promtool);
        assert_int_equal(fwrite(buf.data, 1, buf.len, promtool), buf.len);
        assert_int_equal(pclose(promtool), 0);
        prom_buf_release(&buf);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_scrape_matches_the_golden_text),
                cmocka_unit_test(a_histogram_without_labels_has_only_le),
                cmocka_unit_test(help_and_label_values_are_escaped),
                cmocka_unit_test(numbers_do_not_depend_on_the_locale),
                cmocka_unit_test(a_second_scrape_reuses_the_buffer),
                cmocka_unit_test(promtool_accepts_a_scrape),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
