/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: which are kept, where, and which are refused. */
#include "prom/clock.h"
#include "prom/exemplar.h"
#include "prom_fixture.h"

static bool kept(const void *handle, size_t slot, struct exemplar *e)
{
        return prom_read_exemplar_(handle, slot, e);
}

static void a_counter_shows_its_last_exemplar(void **state)
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

static void an_exemplar_may_have_no_labels(void **state)
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

/* A non-ASCII name in every escaping, at the greatest length. */
static void exemplar_names_are_escaped(void **state)
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

static void invalid_exemplars_are_ignored_and_counted(void **state)
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

static void each_bucket_shows_its_own_exemplar(void **state)
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

static void native_buckets_keep_the_last_exemplars(void **state)
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

/* ---- protobuf ----------------------------------------------------------------------------- */

struct span {
        const unsigned char *p, *end;
};

static uint64_t varint(struct span *s)
{
        uint64_t v = 0;
        for (unsigned shift = 0;; shift += 7) {
                assert_true(s->p < s->end);
                v |= (uint64_t)(*s->p & 0x7f) << shift;
                if (!(*s->p++ & 0x80))
                        return v;
        }
}

/* The next field with that number, a message or a double; false at the end. */
static bool next_field(struct span *s, unsigned number, struct span *ret)
{
        while (s->p < s->end) {
                const uint64_t tag = varint(s);
                size_t n = 8; /* of a double */
                if ((tag & 7) == 0) {
                        varint(s);
                        continue;
                }
                if ((tag & 7) == 2)
                        n = varint(s);
                *ret = (struct span){s->p, s->p + n};
                s->p += n;
                assert_true(s->p <= s->end);
                if (tag >> 3 == number)
                        return true;
        }
        return false;
}

/* Whether the exemplars of the only histogram, apart from those of classic buckets, have these
 * values. */
static bool native_exemplars_are(const double *values, size_t n)
{
        static const struct prom_format proto = {PROM_PROTOBUF_DELIMITED, PROM_ALLOW_UTF8};
        assert_int_equal(prom_render(registry, proto, NULL, &buf), 0);
        struct span body = {(unsigned char *)buf.data, (unsigned char *)buf.data + buf.len};
        struct span metric, histogram, exemplar, value;
        varint(&body);
        assert_true(next_field(&body, 4, &metric) && next_field(&metric, 7, &histogram));
        size_t i = 0;
        for (; next_field(&histogram, 16, &exemplar); i++) {
                double v;
                assert_true(next_field(&exemplar, 2, &value));
                memcpy(&v, value.p, sizeof(v));
                if (i == n || v != values[i])
                        return false;
        }
        return i == n;
}

/* Adds an exemplar with a later time than all before. */
static void observe_later(struct prom_histogram *h, double v)
{
        const int64_t before = prom_wall_ms_();
        while (prom_wall_ms_() == before)
                ;
        prom_histogram_observe_exemplar(h, v, LABELS({"t", "x"}));
}

static void both_kinds_of_buckets_show_the_newest_exemplars(void **state)
{
        static const double bounds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        static const double newest[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, later[] = {1, 5};
        struct prom_family *f = add((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                       .name = "h",
                                                       .labels = NAMES("l"),
                                                       .native_factor = 2,
                                                       .buckets = bounds,
                                                       .n_buckets = 12});
        struct prom_histogram *h = prom_histogram_with(f, "both");
        assert_true(native_exemplars_are(NULL, 0));
        for (int i = 12; i > 0; i--)
                observe_later(h, i);
        assert_true(native_exemplars_are(newest, 10));
        assert_int_equal(prom_clear(f), 1);
        h = prom_histogram_with(f, "both");
        prom_histogram_observe(h, 1);
        assert_true(native_exemplars_are(NULL, 0));
        observe_later(h, 1);
        observe_later(h, 5);
        assert_true(native_exemplars_are(later, 2));
}

static void native_exemplars_are_sorted_by_time(void **state)
{
        double last[PROM_NATIVE_EXEMPLARS];
        struct prom_histogram *h = prom_histogram_with(
                add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "h", .native_factor = 2}));
        for (int i = 0; i < PROM_NATIVE_EXEMPLARS + 3; i++) {
                observe_later(h, i + 1);
                if (i >= 3)
                        last[i - 3] = i + 1;
        }
        assert_true(native_exemplars_are(last, PROM_NATIVE_EXEMPLARS));
}

static void a_removed_series_loses_its_exemplars(void **state)
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
                TEST(a_counter_shows_its_last_exemplar),
                TEST(an_exemplar_may_have_no_labels),
                TEST(exemplar_names_are_escaped),
                TEST(invalid_exemplars_are_ignored_and_counted),
                TEST(each_bucket_shows_its_own_exemplar),
                TEST(native_buckets_keep_the_last_exemplars),
                TEST(both_kinds_of_buckets_show_the_newest_exemplars),
                TEST(native_exemplars_are_sorted_by_time),
                TEST(a_removed_series_loses_its_exemplars),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
