/* SPDX-License-Identifier: Apache-2.0 */
/* Lint, and the helpers for the tests of programs. */
#include "prom/testing.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})

enum { TEXT_MAX = 4096 };

static struct prom_family *declare(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_family *family = NULL;
        struct prom_error error;
        if (!desc.help)
                desc.help = "Help.";
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

/* ---- lint --------------------------------------------------------------------------------- */

static void write_down(const char *metric, const char *problem, void *data)
{
        char *text = data;
        size_t n = strlen(text);
        snprintf(text + n, TEXT_MAX - n, "%s: %s\n", metric, problem);
}

static void lint_finds_violations(void **state)
{
        const struct {
                struct prom_desc desc;
                const char *says; /* the problem without the name; NULL: none */
        } cases[] = {
                {{.kind = PROM_COUNTER, .name = "app_jobs_total"}, NULL},
                {{.kind = PROM_HISTOGRAM, .name = "app_request_seconds"}, NULL},
                {{.kind = PROM_GAUGE, .name = "app_memory_bytes"}, NULL},
                {{.kind = PROM_GAUGE, .name = "s_app"}, NULL},
                {{.kind = PROM_GAUGE, .name = "gauge_readings"}, NULL},
                {{.kind = PROM_INFO, .name = "app_info", .labels = NAMES("version")}, NULL},
                {{.kind = PROM_STATESET, .name = "app_mode", .states = NAMES("on", "off")}, NULL},
                {{.kind = PROM_GAUGE, .name = "app_fill_ratio", .unit = "ratio"}, NULL},
                {{.kind = PROM_GAUGE, .name = "my-metric"},
                 "metric names should consist of [a-zA-Z0-9_] and not begin with a digit"},
                {{.kind = PROM_GAUGE, .name = "http.depth"},
                 "metric names should consist of [a-zA-Z0-9_] and not begin with a digit"},
                {{.kind = PROM_GAUGE, .name = "app_x", .labels = NAMES("http.code")},
                 "label names should consist of [a-zA-Z0-9_] and not begin with a digit"},
                {{.kind = PROM_GAUGE, .name = "app_depth", .help = ""}, "no help text"},
                {{.kind = PROM_COUNTER, .name = "app_jobs"},
                 "counter metrics should have \"_total\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_jobs_total"},
                 "non-counter metrics should not have \"_total\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_bucket"},
                 "non-histogram metrics should not have \"_bucket\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_count"},
                 "non-histogram and non-summary metrics should not have \"_count\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_sum"},
                 "non-histogram and non-summary metrics should not have \"_sum\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_created"},
                 "metrics should not have \"_created\" suffix"},
                {{.kind = PROM_GAUGE, .name = "app_x", .labels = NAMES("le")},
                 "non-histogram metrics should not have \"le\" label"},
                {{.kind = PROM_GAUGE, .name = "app_x", .labels = NAMES("quantile")},
                 "non-summary metrics should not have \"quantile\" label"},
                {{.kind = PROM_GAUGE, .name = "app_x", .labels = NAMES("wayIn")},
                 "label names should be written in 'snake_case' not 'camelCase'"},
                {{.kind = PROM_GAUGE, .name = "app_milliseconds"},
                 "use base unit \"seconds\" instead of \"milliseconds\""},
                {{.kind = PROM_GAUGE, .name = "app_hours_up"},
                 "use base unit \"seconds\" instead of \"hours\""},
                {{.kind = PROM_GAUGE, .name = "app_kibibytes"},
                 "use base unit \"bytes\" instead of \"kibibytes\""},
                {{.kind = PROM_GAUGE, .name = "app_fahrenheit"},
                 "use base unit \"celsius\" instead of \"fahrenheit\""},
                {{.kind = PROM_GAUGE, .name = "app_wait_ms"},
                 "metric names should not contain abbreviated units"},
                {{.kind = PROM_GAUGE, .name = "app_kb_read"},
                 "metric names should not contain abbreviated units"},
                {{.kind = PROM_COUNTER, .name = "app_KB_total"},
                 "metric names should not contain abbreviated units"},
                {{.kind = PROM_COUNTER, .name = "app_MS_total"},
                 "metric names should not contain abbreviated units"},
                {{.kind = PROM_GAUGE, .name = "app_x", .const_labels = LABELS({"le", "x"})},
                 "non-histogram metrics should not have \"le\" label"},
                {{.kind = PROM_GAUGE, .name = "app_x", .const_labels = LABELS({"quantile", "x"})},
                 "non-summary metrics should not have \"quantile\" label"},
                {{.kind = PROM_GAUGE, .name = "app_x", .const_labels = LABELS({"wayIn", "x"})},
                 "label names should be written in 'snake_case' not 'camelCase'"},
                {{.kind = PROM_STATESET, .name = "le", .states = NAMES("on", "off")},
                 "non-histogram metrics should not have \"le\" label"},
                {{.kind = PROM_GAUGE, .name = "app_apples", .unit = "apples"},
                 "unit \"apples\" is not a base unit"},
                {{.kind = PROM_GAUGE, .name = "app_gauge_depth"},
                 "metric name should not include type 'gauge'"},
                {{.kind = PROM_HISTOGRAM, .name = "app_histogram"},
                 "metric name should not include type 'histogram'"},
                {{.kind = PROM_GAUGE, .name = "app:depth"}, "metric names should not contain ':'"},
                {{.kind = PROM_GAUGE, .name = "appDepth"},
                 "metric names should be written in 'snake_case' not 'camelCase'"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct prom_registry *r = prom_registry_new();
                char text[TEXT_MAX] = "", want[TEXT_MAX] = "";
                declare(r, cases[i].desc);
                if (cases[i].says)
                        snprintf(want, sizeof(want), "%s: %s\n", cases[i].desc.name, cases[i].says);
                assert_int_equal(prom_lint(r, write_down, text), cases[i].says != NULL);
                assert_string_equal(text, want);
                assert_int_equal(prom_lint(r, NULL, NULL), cases[i].says != NULL);
                prom_registry_free(r);
        }
}

static void lint_checks_all_families(void **state)
{
        struct prom_registry *r = prom_registry_new();
        char text[TEXT_MAX] = "";
        declare(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "b_ms"});
        declare(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "aB"});
        declare(r, (struct prom_desc){
                           .kind = PROM_STATESET, .name = "someState", .states = NAMES("on")});
        assert_int_equal(prom_lint(r, write_down, text), 5);
        assert_string_equal(text,
                            "aB: metric names should be written in 'snake_case' not 'camelCase'\n"
                            "b_ms: metric names should not contain abbreviated units\n"
                            "b_ms: counter metrics should have \"_total\" suffix\n"
                            "someState: label names should be written in 'snake_case' not "
                            "'camelCase'\n"
                            "someState: metric names should be written in 'snake_case' not "
                            "'camelCase'\n");
        prom_registry_free(r);
}

static void lint_accepts_the_librarys_own_metrics(void **state)
{
        static const struct prom_label version[] = {{"version", "1"}, {NULL, NULL}};
        struct prom_registry *r = prom_registry_new();
        char text[TEXT_MAX] = "";
        assert_int_equal(prom_register_process_collector(r, NULL), 0);
        assert_int_equal(prom_register_build_info(r, "app_build_info", version, NULL), 0);
        prom_lint(r, write_down, text);
        assert_string_equal(text, "");
        prom_registry_free(r);
}

/* ---- values ------------------------------------------------------------------------------- */

static void collect_load(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 0.25, "a");
        prom_emit(emitter, 0, 4, "b");
}

static struct prom_registry *filled(void)
{
        static const struct prom_label zone[] = {{"zone", "z"}, {NULL, NULL}};
        struct prom_registry *r = prom_registry_new();
        struct prom_family *jobs = declare(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                                 .name = "jobs_total",
                                                                 .labels = NAMES("way", "code"),
                                                                 .const_labels = zone});
        struct prom_family *depth =
                declare(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "depth"});
        struct prom_family *mode = declare(r, (struct prom_desc){.kind = PROM_STATESET,
                                                                 .name = "mode",
                                                                 .states = NAMES("on", "off")});
        struct prom_family *seconds =
                declare(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                              .name = "wait_seconds",
                                              .buckets = (const double[]){0.5},
                                              .n_buckets = 1});
        const struct prom_desc load = {
                .kind = PROM_GAUGE, .name = "load", .help = "Help.", .labels = NAMES("pool")};
        assert_int_equal(prom_register_collector(r, &load, 1, collect_load, NULL, NULL, NULL), 0);
        prom_counter_add_int(prom_counter_with(jobs, "in", "200"), 3);
        prom_counter_add_int(prom_counter_with(jobs, "in", "500"), 1);
        prom_gauge_set(prom_gauge_with(depth), -2.5);
        prom_stateset_choose(prom_stateset_with(mode), 1);
        prom_histogram_observe(prom_histogram_with(seconds), 0.25);
        prom_histogram_observe(prom_histogram_with(seconds), 1);
        return r;
}

static void a_value_is_found_by_name_and_labels(void **state)
{
        struct prom_registry *r = filled();
        assert_true(prom_test_value(r, "jobs_total", "way", "in", "code", "200") == 3);
        assert_true(prom_test_value(r, "jobs_total", "code", "500", "way", "in") == 1);
        assert_true(prom_test_value(r, "jobs_total", "zone", "z", "code", "500", "way", "in") == 1);
        assert_true(prom_test_value(r, "depth") == -2.5);
        assert_true(prom_test_value(r, "load", "pool", "b") == 4);
        assert_true(prom_test_value(r, "mode", "mode", "on") == 0);
        assert_true(prom_test_value(r, "mode", "mode", "off") == 1);
        assert_true(prom_test_value(r, "wait_seconds_bucket", "le", "0.5") == 1);
        assert_true(prom_test_value(r, "wait_seconds_bucket", "le", "+Inf") == 2);
        assert_true(prom_test_value(r, "wait_seconds_sum") == 1.25);
        assert_true(prom_test_value(r, "wait_seconds_count") == 2);

        assert_true(isnan(prom_test_value(r, "none")));
        assert_true(isnan(prom_test_value(r, "jobs_total")));
        assert_true(isnan(prom_test_value(r, "jobs_total", "way", "in")));
        assert_true(isnan(prom_test_value(r, "jobs_total", "way", "in", "code", "404")));
        assert_true(isnan(prom_test_value(r, "jobs_total", "way", "in", "code")));
        assert_true(isnan(prom_test_value(r, "depth", "x", "y")));
        assert_true(isnan(prom_test_value(r, "jobs_total", "way", "in", "code", "200", "x", "y")));
        assert_true(
                isnan(prom_test_value(r, "jobs_total", "way", "in", "code", "200", "zone", "")));
        assert_true(isnan(prom_test_value(r, "mode")));
        assert_true(isnan(prom_test_value(r, "wait_seconds_bucket")));
        assert_true(isnan(prom_test_value(r, "wait_seconds_bucket", "le", "7")));
        prom_registry_free(r);
}

static void series_are_counted(void **state)
{
        struct prom_registry *r = filled();
        assert_int_equal(prom_test_count(r, "jobs_total"), 2);
        assert_int_equal(prom_test_count(r, "wait_seconds"), 1);
        assert_int_equal(prom_test_count(r, "mode"), 2);
        assert_int_equal(prom_test_count(r, "none"), 0);
        prom_registry_free(r);
}

/* ---- expositions -------------------------------------------------------------------------- */

static void expect(struct prom_registry *r, const char *expected, const char *const *names,
                   const char *difference)
{
        struct prom_buf out = PROM_BUF_INIT;
        assert_int_equal(prom_test_compare(r, expected, names, &out), *difference != '\0');
        assert_string_equal(out.data ? out.data : "", difference);
        assert_int_equal(prom_test_compare(r, expected, names, NULL), *difference != '\0');
        prom_buf_release(&out);
}

static void equal_expositions_compare_equal(void **state)
{
        struct prom_registry *r = filled();
        expect(r,
               "\n  # HELP depth Help.\n\t# TYPE depth gauge\r\n# a remark\n depth -2.50 \n\n"
               "# TYPE wait_seconds histogram\n# HELP wait_seconds Help.\n"
               "wait_seconds_count 2e0\nwait_seconds_sum 1.25\n"
               "wait_seconds_bucket{le=\"+Inf\"} 2\nwait_seconds_bucket{le=\"0.5\"} 1",
               NAMES("depth", "wait_seconds"), "");
        expect(r, "", NAMES("none"), "");
        prom_registry_free(r);
}

static void differences_are_listed(void **state)
{
        struct prom_registry *r = filled();
        expect(r,
               "# HELP depth Deep.\n# TYPE depth gauge\ndepth -3\n"
               "# HELP jobs_total Help.\n# TYPE jobs_total counter\n"
               "jobs_total{code=\"200\",way=\"in\",zone=\"z\"} 3\n"
               "jobs_total{code=\"404\",way=\"in\",zone=\"z\"} 1\n",
               NAMES("depth", "jobs_total"),
               "- # HELP depth Deep.\n"
               "+ # HELP depth Help.\n"
               "- depth -3\n"
               "+ depth -2.5\n"
               "- jobs_total{code=\"404\",way=\"in\",zone=\"z\"} 1\n"
               "+ jobs_total{code=\"500\",way=\"in\",zone=\"z\"} 1\n");
        expect(r, "# HELP depth Help.\n# TYPE depth gauge\ndepth -2.5\ndepth -2.5\ndepth x\n",
               NAMES("depth"), "- depth -2.5\n- depth x\n");
        prom_registry_free(r);
}

/* A locale with a decimal comma, made in `folder` if the system has none. */
static bool use_comma(const char *folder)
{
        char command[256];
        if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
                snprintf(command, sizeof(command),
                         "localedef -i de_DE -f UTF-8 %s/comma >%s/said 2>&1", folder, folder);
                setenv("LOCPATH", folder, 1);
                (void)!system(command);
                setlocale(LC_NUMERIC, "comma");
                unsetenv("LOCPATH");
        }
        return strcmp(localeconv()->decimal_point, ",") == 0;
}

static void the_locale_does_not_matter(void **state)
{
        char folder[] = "/tmp/test_prom_XXXXXX", command[64];
        assert_non_null(mkdtemp(folder));
        const bool comma = use_comma(folder);
        snprintf(command, sizeof(command), "rm -r %s", folder);
        assert_int_equal(system(command), 0);
        if (comma) {
                struct prom_registry *r = filled();
                expect(r, "# HELP depth Help.\n# TYPE depth gauge\ndepth -2.50\n", NAMES("depth"),
                       "");
                expect(r, "# HELP depth Help.\n# TYPE depth gauge\ndepth -2,5\n", NAMES("depth"),
                       "- depth -2,5\n+ depth -2.5\n");
                assert_string_equal(localeconv()->decimal_point, ",");
                prom_registry_free(r);
        }
        setlocale(LC_NUMERIC, "C");
        if (!comma) {
                print_message("skip: no locale with a decimal comma, nor can one be made\n");
                skip();
        }
}

static void all_families_can_be_compared(void **state)
{
        struct prom_registry *r = prom_registry_new();
        declare(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "only"});
        expect(r, "# HELP only Help.\n# TYPE only gauge\nonly 0\n", NULL, "");
        expect(r, "", NULL, "+ # HELP only Help.\n+ # TYPE only gauge\n+ only 0\n");
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lint_finds_violations),
                cmocka_unit_test(lint_checks_all_families),
                cmocka_unit_test(lint_accepts_the_librarys_own_metrics),
                cmocka_unit_test(a_value_is_found_by_name_and_labels),
                cmocka_unit_test(series_are_counted),
                cmocka_unit_test(equal_expositions_compare_equal),
                cmocka_unit_test(differences_are_listed),
                cmocka_unit_test(the_locale_does_not_matter),
                cmocka_unit_test(all_families_can_be_compared),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
