/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: which are kept, where, and which are refused. */
#include "prom/internal.h"
#include "prom_fixture.h"

static bool kept(const void *handle, size_t slot, struct exemplar *e)
{
        return prom_read_exemplar_(handle, slot, e);
}

static void test_counter(void **state)
{
        struct prom_family *f = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        struct prom_counter *c = prom_counter_with(f);
        struct exemplar e;
        assert_false(kept(c, 0, &e));
        prom_counter_add_exemplar(c, 2, LABELS({"trace_id", "abc"}, {"span", "\xc3\xbc"}));
        assert_true(kept(c, 0, &e));
        assert_true(e.value == 2 && e.time_ms > 0);
        assert_int_equal(e.n_labels, 2);
        assert_memory_equal(e.text, "trace_id\0abc\0span\0\xc3\xbc", 21);
        prom_counter_add_exemplar(c, 0.5,
                                  LABELS({"trace_id", "longer than the one before by far"}));
        assert_true(kept(c, 0, &e));
        assert_true(e.value == 0.5);
        assert_string_equal(e.text + 9, "longer than the one before by far");
        prom_counter_add_exemplar(c, 1, LABELS({"t", NULL}));
        assert_true(kept(c, 0, &e));
        assert_memory_equal(e.text, "t\0", 3);
        assert_false(kept(c, 1, &e));
        assert_true(prom_counter_value(c) == 3.5);
        assert_int_equal(prom_family_ignored(f), 0);
}

static void test_without_labels(void **state)
{
        static const struct prom_format open = {PROM_OPENMETRICS_1_0_0, PROM_ESCAPE_UNDERSCORES};
        struct prom_family *f = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        struct prom_counter *c = prom_counter_with(f);
        struct exemplar e;
        prom_counter_add_exemplar(c, 0.5, NULL);
        assert_true(kept(c, 0, &e));
        assert_true(e.value == 0.5 && e.time_ms > 0 && e.n_labels == 0);
        prom_counter_add_exemplar(c, 1, LABELS({"t", "x"}));
        prom_counter_add_exemplar(c, 2, (const struct prom_label[]){{NULL, NULL}});
        assert_true(kept(c, 0, &e));
        assert_true(e.value == 2 && e.n_labels == 0);
        assert_int_equal(prom_render(registry, open, NULL, &buf), 0);
        assert_non_null(strstr(buf.data, "c_total 3.5 # {} 2 "));
}

/* A foreign name in every escaping, at the greatest length. */
static void test_names(void **state)
{
        static const struct {
                enum prom_escaping escaping;
                const char *text;
        } cases[] = {
                {PROM_ESCAPE_UNDERSCORES, " # {http_path=\"/\",a___=\"\",_b=\"x\"} 2 "},
                {PROM_ESCAPE_DOTS, " # {http_dot_path=\"/\",a______=\"\",_b=\"x\"} 2 "},
                {PROM_ESCAPE_VALUES,
                 " # {U__http_2e_path=\"/\",U__a_22__5c__e9_=\"\",_b=\"x\"} 2 "},
                {PROM_ALLOW_UTF8,
                 " # {\"http.path\"=\"/\",\"a\\\"\\\\\xc3\xa9\"=\"\",_b=\"x\"} 2 "},
        };
        struct prom_family *f = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        struct prom_counter *c = prom_counter_with(f);
        prom_counter_add_exemplar(c, 2,
                                  LABELS({"http.path", "/"}, {"a\"\\\xc3\xa9", ""}, {"_b", "x"}));
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct prom_format open = {PROM_OPENMETRICS_1_0_0, cases[i].escaping};
                assert_int_equal(prom_render(registry, open, NULL, &buf), 0);
                if (!strstr(buf.data, cases[i].text))
                        fail_msg("%s", buf.data);
        }
        char name[PROM_EXEMPLAR_RUNES_MAX] = "";
        for (int i = 0; i < PROM_EXEMPLAR_RUNES_MAX / 4 - 4; i++)
                strcat(name, i % 2 ? "\"" : "\\");
        prom_counter_add_exemplar(c, 2, LABELS({name, "\"\"\"\""}, {"a", "\n\n"}));
        assert_int_equal(prom_family_ignored(f), 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct prom_format open = {PROM_OPENMETRICS_1_0_0, cases[i].escaping};
                assert_int_equal(prom_render(registry, open, NULL, &buf), 0);
                assert_non_null(strstr(buf.data, ",a=\"\\n\\n\"} 2 "));
                const struct prom_format proto = {PROM_PROTOBUF_DELIMITED, cases[i].escaping};
                assert_int_equal(prom_render(registry, proto, NULL, &buf), 0);
        }
}

static void test_refusals(void **state)
{
        struct prom_family *f = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        struct prom_counter *c = prom_counter_with(f);
        struct exemplar e;
        char most[PROM_EXEMPLAR_RUNES_MAX + 1], wide[4 * PROM_EXEMPLAR_RUNES_MAX + 1] = "";
        memset(most, 'x', sizeof(most) - 1);
        most[sizeof(most) - 1] = '\0';
        char long_name[PROM_NAME_MAX + 8] = "";
        for (int i = 0; i < PROM_NAME_MAX / 4 + 1; i++)
                strcat(long_name, "\xf0\x9f\x8c\x8d");
        for (int i = 0; i < PROM_EXEMPLAR_RUNES_MAX - 1; i++)
                strcat(wide, "\xf0\x9f\x8c\x8d");
        prom_counter_add_exemplar(c, 1, LABELS({"a", most}));
        prom_counter_add_exemplar(c, 1, LABELS({"a", "\xff"}));
        prom_counter_add_exemplar(c, 1, LABELS({"\xff", "x"}));
        prom_counter_add_exemplar(c, 1, LABELS({"a.b", "x"}, {"a_b", "x"}));
        prom_counter_add_exemplar(c, 1, LABELS({"\xf0\x9f\x8c\x8d", most + 8}));
        prom_counter_add_exemplar(c, 1, LABELS({long_name, "x"}));
        prom_counter_add_exemplar(c, 1, LABELS({"", "x"}));
        prom_counter_add_exemplar(c, 1, LABELS({"a", "x"}, {"a", "y"}));
        prom_counter_add_exemplar(c, 1,
                                  LABELS({"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""},
                                         {"f", ""}, {"g", ""}, {"h", ""}, {"i", ""}));
        assert_int_equal(prom_family_ignored(f), 9);
        assert_true(prom_counter_value(c) == 9);
        prom_counter_add_exemplar(c, -1, LABELS({"a", "x"}));
        assert_int_equal(prom_family_ignored(f), 10);
        prom_counter_add_exemplar(NULL, 1, LABELS({"a", "x"}));
        assert_false(kept(c, 0, &e));
        prom_counter_add_exemplar(c, 1, LABELS({"\xf0\x9f\x8c\x8d", most + 10})); /* U___1f30d_ */
        assert_true(kept(c, 0, &e));
        prom_counter_add_exemplar(c, 1, LABELS({"a", most + 1}));
        assert_true(kept(c, 0, &e));
        prom_counter_add_exemplar(c, 1, LABELS({"a", wide}));
        assert_true(kept(c, 0, &e));
        assert_string_equal(e.text + 2, wide);
}

static void test_buckets(void **state)
{
        static const double bounds[] = {1, 2};
        struct prom_family *f = add((struct prom_desc){
                .kind = PROM_HISTOGRAM, .name = "h", .buckets = bounds, .n_buckets = 2});
        struct prom_histogram *h = prom_histogram_with(f);
        struct exemplar e;
        prom_histogram_observe_exemplar(h, 1, LABELS({"t", "one"}));
        prom_histogram_observe_exemplar(h, 7, LABELS({"t", "seven"}));
        assert_true(kept(h, 0, &e));
        assert_string_equal(e.text + 2, "one");
        assert_false(kept(h, 1, &e));
        assert_true(kept(h, 2, &e));
        assert_true(e.value == 7);
        assert_false(kept(h, 3, &e));
        prom_histogram_observe_exemplar(h, (double)__builtin_nan(""), LABELS({"t", "x"}));
        prom_histogram_observe_exemplar(NULL, 1, LABELS({"t", "x"}));
        assert_int_equal(prom_family_ignored(f), 1);
        struct prom_snapshot s;
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.count, 2);
}

static void test_native_keeps_the_last(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "h", .native_factor = 1.1});
        struct prom_histogram *h = prom_histogram_with(f);
        struct exemplar e;
        double sum = 0;
        for (int i = 1; i <= PROM_NATIVE_EXEMPLARS + 3; i++)
                prom_histogram_observe_exemplar(h, i, LABELS({"t", "x"}));
        for (size_t i = 0; i < PROM_NATIVE_EXEMPLARS; i++) {
                assert_true(kept(h, i, &e));
                sum += e.value;
        }
        assert_true(sum == 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13);
        assert_false(kept(h, PROM_NATIVE_EXEMPLARS, &e));
}

static void test_removal(void **state)
{
        struct prom_family *f = add((struct prom_desc){.kind = PROM_COUNTER,
                                                       .name = "c_total",
                                                       .labels = (const char *const[]){"a", NULL}});
        struct prom_counter *c = prom_counter_with(f, "x");
        struct exemplar e;
        prom_counter_add_exemplar(c, 1, LABELS({"t", "first"}));
        assert_int_equal(prom_remove(f, "x"), 0);
        prom_counter_add_exemplar(c, 1, LABELS({"t", "stale"}));
        assert_ptr_equal(prom_counter_with(f, "x"), c);
        assert_false(kept(c, 0, &e));
        prom_counter_add_exemplar(c, 1, LABELS({"t", "second"}));
        assert_true(kept(c, 0, &e));
        assert_string_equal(e.text + 2, "second");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_counter),  TEST(test_without_labels), TEST(test_names),
                TEST(test_refusals), TEST(test_buckets),        TEST(test_native_keeps_the_last),
                TEST(test_removal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
