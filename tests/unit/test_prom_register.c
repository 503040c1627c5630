/* SPDX-License-Identifier: Apache-2.0 */
/* What can be registered, what cannot, and the error messages. */
#include "prom/prom.h"
#include "sanitized.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
        *state = prom_registry_new();
        return *state ? 0 : -1;
}

static int tear_down(void **state)
{
        prom_registry_free(*state);
        return 0;
}

static void refuses(struct prom_registry *r, struct prom_desc desc, int code, const char *says)
{
        struct prom_error error = {""};
        struct prom_family *family = (void *)&error;
        assert_int_equal(prom_register(r, &desc, &family, &error), -code);
        assert_ptr_equal(family, &error);
        if (!strstr(error.msg, says))
                fail_msg("\"%s\" does not say \"%s\"", error.msg, says);
        assert_int_equal(prom_register(r, &desc, NULL, NULL), -code);
}

static void invalid_metric_names_are_refused(void **state)
{
        static const char *const bad[] = {"", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf"};
        static const char *const good[] = {"a", "_", ":", "a:b_C9", "__x", "x\xc3\xa4", "1 {\n\"}"};
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct prom_desc desc = {.kind = PROM_GAUGE, .name = bad[i], .help = "h"};
                refuses(*state, desc, EINVAL, "not valid");
        }
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                struct prom_desc desc = {.kind = PROM_GAUGE, .name = good[i], .help = "h"};
                assert_int_equal(prom_register(*state, &desc, NULL, NULL), 0);
        }
        char longest[PROM_NAME_MAX + 2];
        memset(longest, 'x', sizeof(longest) - 1);
        longest[PROM_NAME_MAX + 1] = '\0';
        struct prom_desc desc = {.kind = PROM_GAUGE, .name = longest, .help = "h"};
        refuses(*state, desc, EINVAL, "not valid");
        longest[PROM_NAME_MAX] = '\0';
        assert_int_equal(prom_register(*state, &desc, NULL, NULL), 0);
        desc.name = NULL;
        refuses(*state, desc, EINVAL, "not valid");
}

static void invalid_labels_are_refused(void **state)
{
        struct prom_desc desc = {.kind = PROM_COUNTER, .name = "m_total", .help = "h"};
        desc.labels = NAMES("a\xff");
        refuses(*state, desc, EINVAL, "m_total: label name \"a\xff\"");
        desc.labels = NAMES("a\n\x1b[1m\xff");
        refuses(*state, desc, EINVAL, "m_total: label name \"a??[1m\xff\"");
        desc.labels = NAMES("");
        refuses(*state, desc, EINVAL, "m_total");
        desc.labels = NAMES("__name__");
        refuses(*state, desc, EINVAL, "reserved");
        desc.labels = NAMES("\u00e9\u00e9");
        refuses(*state, desc, EINVAL, "reserved");
        desc.labels = NAMES("a", "b", "a");
        refuses(*state, desc, EINVAL, "label a given twice");
        desc.labels = NAMES("a");
        desc.const_labels = (const struct prom_label[]){{"a", "1"}, {NULL, NULL}};
        refuses(*state, desc, EINVAL, "label a given twice");
        desc.const_labels = (const struct prom_label[]){{"b", "\xff"}, {NULL, NULL}};
        refuses(*state, desc, EINVAL, "constant label \"b\"");
        desc.const_labels = (const struct prom_label[]){{"b", NULL}, {NULL, NULL}};
        refuses(*state, desc, EINVAL, "constant label \"b\"");
        desc.const_labels = NULL;

        const char *many[PROM_LABELS_MAX + 2] = {NULL};
        char names[PROM_LABELS_MAX + 1][16];
        for (int i = 0; i <= PROM_LABELS_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "l%d", i);
                many[i] = names[i];
        }
        desc.labels = many;
        refuses(*state, desc, EINVAL, "more than");
        many[PROM_LABELS_MAX] = NULL;
        assert_int_equal(prom_register(*state, &desc, NULL, NULL), 0);

        desc.name = "le_total";
        desc.labels = NAMES("le");
        assert_int_equal(prom_register(*state, &desc, NULL, NULL), 0);
        desc.kind = PROM_HISTOGRAM;
        desc.name = "le_seconds";
        refuses(*state, desc, EINVAL, "le_seconds: label le is reserved");
}

static void invalid_help_kinds_and_buckets_are_refused(void **state)
{
        struct prom_desc desc = {.kind = PROM_HISTOGRAM, .name = "h_seconds"};
        refuses(*state, desc, EINVAL, "help");
        desc.help = "\xed\xa0\x80";
        refuses(*state, desc, EINVAL, "help");
        desc.help = "h";
        desc.kind = 0;
        refuses(*state, desc, EINVAL, "kind");
        desc.kind = PROM_GAUGE;
        desc.buckets = prom_default_buckets;
        desc.n_buckets = PROM_DEFAULT_BUCKETS;
        refuses(*state, desc, EINVAL, "only a histogram");
        desc.kind = PROM_HISTOGRAM;
        desc.max_series = (size_t)PROM_SERIES_MAX + 1;
        refuses(*state, desc, EINVAL, "max_series");
        desc.max_series = 0;
        desc.n_buckets = 3;
        desc.buckets = (const double[]){1, 2, 2};
        refuses(*state, desc, EINVAL, "bucket 2");
        desc.buckets = (const double[]){1, NAN, 2};
        refuses(*state, desc, EINVAL, "bucket 1");
        desc.buckets = (const double[]){-INFINITY, 1, 2};
        refuses(*state, desc, EINVAL, "bucket 0");
        desc.buckets = NULL;
        refuses(*state, desc, EINVAL, "without buckets");
        desc.buckets = prom_default_buckets;
        desc.n_buckets = 0;
        refuses(*state, desc, EINVAL, "without n_buckets");

        double many[PROM_BUCKETS_MAX + 2];
        for (size_t i = 0; i < PROM_BUCKETS_MAX + 2; i++)
                many[i] = (double)i;
        desc.buckets = many;
        desc.n_buckets = PROM_BUCKETS_MAX + 1;
        refuses(*state, desc, EINVAL, "more than");
        many[PROM_BUCKETS_MAX] = INFINITY;
        assert_int_equal(prom_register(*state, &desc, NULL, NULL), 0);
}

static void duplicates_and_collisions_are_refused(void **state)
{
        struct prom_desc gauge = {.kind = PROM_GAUGE, .name = "x", .help = "h"};
        struct prom_desc histogram = {.kind = PROM_HISTOGRAM, .name = "y", .help = "h"};
        assert_int_equal(prom_register(*state, &gauge, NULL, NULL), 0);
        assert_int_equal(prom_register(*state, &histogram, NULL, NULL), 0);
        refuses(*state, gauge, EEXIST, "metric x is registered already");
        gauge.name = "y_count";
        refuses(*state, gauge, EEXIST, "y_count collides with a line of metric y");
        gauge.name = "z_bucket";
        assert_int_equal(prom_register(*state, &gauge, NULL, NULL), 0);
        histogram.name = "z";
        refuses(*state, histogram, EEXIST, "metric z collides");
        gauge.name = "y_counts";
        assert_int_equal(prom_register(*state, &gauge, NULL, NULL), 0);
        gauge.name = "prom_series_overflow_total";
        refuses(*state, gauge, EEXIST, "prom_series_overflow_total");
}

static void a_batch_is_registered_entirely_or_not_at_all(void **state)
{
        struct prom_desc descs[3] = {{.kind = PROM_GAUGE, .name = "one", .help = "h"},
                                     {.kind = PROM_HISTOGRAM, .name = "two", .help = "h"},
                                     {.kind = PROM_GAUGE, .name = "two_sum", .help = "h"}};
        struct prom_family *families[3];
        struct prom_error error;
        assert_int_equal(prom_register_all(*state, descs, 3, families, &error), -EEXIST);
        assert_non_null(strstr(error.msg, "two_sum"));
        assert_null(prom_registry_find(*state, "one"));
        assert_null(prom_registry_find(*state, "two"));
        assert_int_equal(prom_register_all(*state, descs, 2, families, &error), 0);
        assert_ptr_equal(prom_registry_find(*state, "one"), families[0]);
        assert_ptr_equal(prom_registry_find(*state, "two"), families[1]);
        assert_null(prom_registry_find(*state, "three"));
        assert_int_equal(prom_register_all(*state, descs, 0, NULL, &error), 0);
}

static void obtaining_again_returns_the_same_family(void **state)
{
        struct prom_desc descs[2] = {
                {.kind = PROM_COUNTER, .name = "a_total", .help = "h", .labels = NAMES("l")},
                {.kind = PROM_HISTOGRAM, .name = "b_seconds", .help = "h"}};
        struct prom_family *first[2], *second[2];
        struct prom_error error;
        assert_int_equal(prom_obtain_all(*state, descs, 2, first, &error), 0);
        prom_counter_inc(prom_counter_with(first[0], "x"));
        assert_int_equal(prom_obtain_all(*state, descs, 2, second, &error), 0);
        assert_ptr_equal(first[0], second[0]);
        assert_ptr_equal(first[1], second[1]);
        assert_true(prom_counter_value(prom_counter_with(second[0], "x")) == 1);

        descs[0].labels = NAMES("other");
        assert_int_equal(prom_obtain_all(*state, descs, 2, second, &error), -EEXIST);
        assert_non_null(strstr(error.msg, "a_total"));
        descs[0].labels = NAMES("l");
        descs[1].buckets = (const double[]){1, 2};
        descs[1].n_buckets = 2;
        assert_int_equal(prom_obtain_all(*state, descs, 2, second, &error), -EEXIST);
        assert_non_null(strstr(error.msg, "b_seconds"));
}

/* A full registry still returns the families that it has. */
static void a_full_registry_refuses_families(void **state)
{
        static char names[PROM_FAMILIES_MAX + 1][8];
        static struct prom_desc descs[PROM_FAMILIES_MAX + 1];
        static struct prom_family *families[PROM_FAMILIES_MAX];
        struct prom_family *again;
        struct prom_error error;
        if (SANITIZED) {
                print_message("skip: a sanitizer takes long to compare so many names\n");
                skip();
        }
        for (int i = 0; i <= PROM_FAMILIES_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "m%d", i);
                descs[i] = (struct prom_desc){.kind = PROM_GAUGE, .name = names[i], .help = "h"};
        }
        const size_t n = PROM_FAMILIES_MAX;
        assert_int_equal(prom_register_all(*state, &descs[2], n - 1, NULL, &error), 0);
        assert_int_equal(prom_register_all(*state, descs, 2, NULL, &error), -ENOSPC);
        assert_non_null(strstr(error.msg, "m1: a registry holds at most"));
        assert_int_equal(prom_register(*state, &descs[0], &families[0], &error), 0);
        assert_int_equal(prom_register(*state, &descs[1], NULL, &error), -ENOSPC);
        assert_int_equal(prom_obtain_all(*state, &descs[0], 1, &again, &error), 0);
        assert_ptr_equal(again, families[0]);
        assert_int_equal(prom_obtain_all(*state, &descs[2], n - 1, families, &error), 0);
        assert_ptr_equal(families[5], prom_registry_find(*state, "m7"));
        assert_int_equal(prom_obtain_all(*state, descs, 3, families, &error), -ENOSPC);
}

static void strings_are_copied(void **state)
{
        char name[] = "copied", help[] = "help", label[] = "label", value[] = "value";
        struct prom_desc desc = {.kind = PROM_GAUGE, .name = name, .help = help};
        desc.labels = (const char *const[]){label, NULL};
        struct prom_family *family;
        assert_int_equal(prom_register(*state, &desc, &family, NULL), 0);
        prom_gauge_set(prom_gauge_with(family, value), 7);
        name[0] = help[0] = label[0] = value[0] = '!';
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(*state, &buf), 0);
        assert_string_equal(buf.data, "# HELP copied help\n# TYPE copied gauge\n"
                                      "copied{label=\"value\"} 7\n");
        prom_buf_release(&buf);
}

static void the_default_registry_is_never_freed(void **state)
{
        struct prom_desc desc = {.kind = PROM_COUNTER, .name = "default_total", .help = "h"};
        struct prom_family *family;
        assert_ptr_equal(prom_default_registry(), prom_default_registry());
        assert_int_equal(prom_register(prom_default_registry(), &desc, &family, NULL), 0);
        assert_ptr_equal(prom_registry_find(prom_default_registry(), "default_total"), family);
        assert_null(prom_registry_find(*state, "default_total"));
        prom_registry_free(prom_default_registry()); /* ignored */
        assert_ptr_equal(prom_registry_find(prom_default_registry(), "default_total"), family);
        prom_registry_free(NULL);
}

static void cells_of_a_freed_registry_are_reused(void **state)
{
        struct prom_desc desc = {.kind = PROM_COUNTER, .name = "reused_total", .help = "h"};
        for (int i = 0; i < 3; i++) {
                struct prom_registry *r = prom_registry_new();
                struct prom_family *family;
                assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
                assert_true(prom_counter_value(prom_counter_with(family)) == 0);
                prom_counter_add(prom_counter_with(family), 2.5);
                prom_counter_inc(prom_counter_with(family));
                assert_true(prom_counter_value(prom_counter_with(family)) == 3.5);
                prom_registry_free(r);
        }
}

/* A registry is filled until no cells are left, which is reported; freeing it returns them all. */
static void registering_without_cells_fails(void **state)
{
        double bounds[PROM_BUCKETS_MAX];
        assert_int_equal(prom_linear_buckets(0, 1, PROM_BUCKETS_MAX, bounds), 0);
        struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                 .name = "big",
                                 .help = "h",
                                 .labels = NAMES("i"),
                                 .buckets = bounds,
                                 .n_buckets = PROM_BUCKETS_MAX,
                                 .max_series = PROM_SERIES_MAX};
        struct prom_family *family;
        for (int round = 0; round < 2; round++) {
                struct prom_registry *r = prom_registry_new();
                assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
                unsigned made = 0;
                for (; prom_family_overflows(family) == 0; made++) {
                        char value[16];
                        snprintf(value, sizeof(value), "%u", made);
                        prom_histogram_with(family, value);
                }
                assert_true(made > PROM_CELLS_MAX / 520 &&
                            made < PROM_CELLS_MAX / (2 * PROM_BUCKETS_MAX));
                struct prom_desc rest = {.kind = PROM_COUNTER,
                                         .name = "rest_total",
                                         .help = "h",
                                         .labels = NAMES("i"),
                                         .max_series = PROM_SERIES_MAX};
                assert_int_equal(prom_register(r, &rest, &family, NULL), 0);
                for (unsigned i = 0; prom_family_overflows(family) == 0; i++) {
                        char value[16];
                        snprintf(value, sizeof(value), "%u", i);
                        prom_counter_with(family, value);
                }
                struct prom_desc one_more = {.kind = PROM_COUNTER, .name = "no_total", .help = "h"};
                struct prom_error error;
                assert_int_equal(prom_register(r, &one_more, NULL, &error), -ENOSPC);
                assert_non_null(strstr(error.msg, "cells"));
                prom_registry_free(r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(invalid_metric_names_are_refused, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(invalid_labels_are_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(invalid_help_kinds_and_buckets_are_refused, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(duplicates_and_collisions_are_refused, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_batch_is_registered_entirely_or_not_at_all,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(obtaining_again_returns_the_same_family, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_full_registry_refuses_families, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(strings_are_copied, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_default_registry_is_never_freed, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(cells_of_a_freed_registry_are_reused, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(registering_without_cells_fails, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
