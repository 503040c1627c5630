/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: look-up, the cap on series, label values of all kinds, and misuse. */
#include "prom/prom.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct prom_family *add(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_family *family;
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        return family;
}

static bool says(struct prom_registry *r, const char *text)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        bool found = strstr(buf.data, text) != NULL;
        prom_buf_release(&buf);
        return found;
}

static void the_same_values_give_the_same_handle(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *two = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                            .name = "two_total",
                                                            .help = "h",
                                                            .labels = NAMES("a", "b")});
        struct prom_counter *c = prom_counter_with(two, "x", "yz");
        assert_non_null(c);
        char x[] = "x", yz[] = "yz"; /* the contents matter, not the addresses */
        assert_ptr_equal(prom_counter_with(two, x, yz), c);
        assert_ptr_not_equal(prom_counter_with(two, "xy", "z"), c);
        assert_ptr_not_equal(prom_counter_with(two, "yz", "x"), c);
        assert_ptr_not_equal(prom_counter_with(two, "x", ""), c);
        assert_ptr_not_equal(prom_counter_with(two, "x", "yzz"), c);
        assert_ptr_equal(prom_counter_with(two, "x", "yz"), c);
        yz[0] = 'Z'; /* a reused buffer names another series */
        assert_ptr_not_equal(prom_counter_with(two, x, yz), c);
        assert_ptr_equal(prom_counter_with(two, NULL, "q"), prom_counter_with(two, "", "q"));
        struct prom_family *none =
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "none", .help = "h"});
        assert_ptr_equal(prom_gauge_with(none), prom_gauge_with(none));
        prom_registry_free(r);
}

static void many_series_are_found_again(void **state)
{
        enum { MANY = 20000 };
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                               .name = "many_total",
                                                               .help = "h",
                                                               .labels = NAMES("a", "i"),
                                                               .max_series = MANY});
        struct prom_counter **handles = calloc(MANY, sizeof(*handles));
        char value[32];
        for (int i = 0; i < MANY; i++) {
                snprintf(value, sizeof(value), "%d-%d", i, i * 7);
                handles[i] = prom_counter_with(family, "label value", value);
                prom_counter_add_int(handles[i], (uint64_t)i + 1);
        }
        for (int i = 0; i < MANY; i++) {
                snprintf(value, sizeof(value), "%d-%d", i, i * 7);
                assert_ptr_equal(prom_counter_with(family, "label value", value), handles[i]);
        }
        assert_true(prom_counter_value(handles[0]) == 1);
        assert_true(prom_counter_value(handles[MANY - 1]) == MANY);
        assert_int_equal(prom_family_overflows(family), 0);
        free(handles);
        prom_registry_free(r);
}

static void look_ups_beyond_the_cap_get_the_overflow_series(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family = add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                               .name = "capped_total",
                                                               .help = "h",
                                                               .labels = NAMES("user", "verb"),
                                                               .max_series = 3});
        char user[16];
        for (int i = 0; i < 100; i++) {
                snprintf(user, sizeof(user), "user%d", i);
                prom_counter_inc(prom_counter_with(family, user, "GET"));
        }
        assert_int_equal(prom_family_overflows(family), 97);
        assert_true(prom_counter_value(prom_counter_with(family, "user2", "GET")) == 1);
        assert_true(says(r, "capped_total{user=\"user2\",verb=\"GET\"} 1\n"
                            "capped_total{user=\"overflow\",verb=\"overflow\"} 97\n"));
        assert_false(says(r, "user3"));
        assert_true(says(r, "prom_series_overflow_total{family=\"capped_total\"} 97\n"));
        /* A series with these label values is the overflow series. */
        assert_ptr_equal(prom_counter_with(family, "overflow", "overflow"),
                         prom_counter_with(family, "anybody", "POST"));
        prom_registry_free(r);
}

static void the_default_cap_applies(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                add(r, (struct prom_desc){
                               .kind = PROM_GAUGE, .name = "g", .help = "h", .labels = NAMES("i")});
        char value[16];
        for (int i = 0; i <= PROM_SERIES_DEFAULT; i++) {
                snprintf(value, sizeof(value), "%d", i);
                assert_non_null(prom_gauge_with(family, value));
        }
        assert_int_equal(prom_family_overflows(family), 1);
        prom_registry_free(r);
}

static void invalid_values_are_made_valid(void **state)
{
        static const struct {
                const char *value, *text;
        } cases[] = {
                {"\xff", "\xef\xbf\xbd"},
                {"a\xc3", "a\xef\xbf\xbd"},
                {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"},
                {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf0\x9f\x8c", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf4\x8f\xbf\xbf\xe2\x82\xac", "\xf4\x8f\xbf\xbf\xe2\x82\xac"},
        };
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                add(r, (struct prom_desc){
                               .kind = PROM_GAUGE, .name = "g", .help = "h", .labels = NAMES("l")});
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char line[128];
                prom_gauge_set(prom_gauge_with(family, cases[i].value), (double)i + 100);
                snprintf(line, sizeof(line), "g{l=\"%s\"} %zu\n", cases[i].text, i + 100);
                assert_true(says(r, line));
                assert_ptr_equal(prom_gauge_with(family, cases[i].value),
                                 prom_gauge_with(family, cases[i].text));
        }
        char longer[PROM_LABEL_VALUE_MAX + 100], cut[PROM_LABEL_VALUE_MAX + 1];
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        memcpy(longer + PROM_LABEL_VALUE_MAX - 1, "\xc3\xbc", 2); /* would be truncated in the
                                                                     middle of a character */
        memset(cut, 'x', sizeof(cut));
        cut[PROM_LABEL_VALUE_MAX - 1] = '\0';
        assert_ptr_equal(prom_gauge_with(family, longer), prom_gauge_with(family, cut));
        prom_registry_free(r);
}

/* Values of every length are found again and told apart, wherever they lie: `page` ends where
 * nothing may be read. */
static void look_up_lengths(struct prom_family *family, size_t n, char *page)
{
        enum { LENGTHS = 40 };
        struct prom_counter *found[LENGTHS][2];
        const char *values[PROM_LABELS_MAX];
        for (size_t i = 0; i < n; i++)
                values[i] = "a value";
        for (size_t len = 0; len < LENGTHS; len++) {
                for (size_t last = 0; last < 2; last++) {
                        char *s = page + 4096 - len - 1;
                        memset(s, 'x', len);
                        s[len] = '\0';
                        if (len)
                                s[len - 1] = last ? 'y' : 'x';
                        values[n - 1] = s;
                        found[len][last] = prom_counter_with_values(family, values, n);
                        assert_non_null(found[len][last]);
                        char other[64];
                        memset(other, 'z', sizeof(other));
                        strcpy(other + 3, s);
                        values[n - 1] = other + 3;
                        assert_ptr_equal(prom_counter_with_values(family, values, n),
                                         found[len][last]);
                }
                assert_int_equal(found[len][0] == found[len][1], len == 0);
                for (size_t i = 0; i < len; i++)
                        assert_ptr_not_equal(found[i][0], found[len][0]);
        }
}

static void values_of_every_length_are_told_apart(void **state)
{
        static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
        char *pages =
                mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(pages != MAP_FAILED);
        assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
        for (size_t n = 1; n <= 6; n++) {
                struct prom_registry *r = prom_registry_new();
                const char *labels[7] = {NULL};
                memcpy(labels, names, n * sizeof(*labels));
                look_up_lengths(add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                                          .name = "c_total",
                                                          .help = "h",
                                                          .labels = labels}),
                                n, pages);
                prom_registry_free(r);
        }
        munmap(pages, 2 * 4096);
}

/* One call with literals only. */
static struct prom_counter *of_literals(struct prom_family *family)
{
        return prom_counter_with(family, "GET", "200");
}

static void one_call_finds_the_series_of_each_family(void **state)
{
        const char *const values[] = {"GET", "200"}, *const others[] = {"PUT", "500"};
        const struct prom_desc desc = {.kind = PROM_COUNTER,
                                       .name = "c_total",
                                       .help = "h",
                                       .labels = NAMES("method", "status"),
                                       .max_series = 1};
        for (int round = 0; round < 2; round++) {
                struct prom_registry *r = prom_registry_new();
                struct prom_desc second = desc;
                second.name = "d_total";
                struct prom_family *c = add(r, desc), *d = add(r, second);
                struct prom_counter *of_c = prom_counter_with_values(c, values, 2);
                struct prom_counter *of_d = prom_counter_with_values(d, values, 2);
                for (int i = 0; i < 3; i++) {
                        assert_ptr_equal(of_literals(c), of_c);
                        assert_ptr_equal(of_literals(d), of_d);
                        assert_null(of_literals(NULL));
                }
                prom_counter_inc(of_literals(c));
                assert_int_equal(prom_remove_values(c, values, 2), 0);
                assert_ptr_equal(of_literals(c), of_c);
                assert_true(prom_counter_value(of_c) == 0);
                prom_registry_free(r);
        }
        struct prom_registry *r = prom_registry_new();
        struct prom_family *c = add(r, desc);
        prom_counter_with_values(c, others, 2);
        struct prom_counter *overflow = prom_counter_with(c, "a", "b");
        assert_int_equal(prom_family_overflows(c), 1);
        for (int i = 0; i < 3; i++)
                assert_ptr_equal(prom_counter_with(c, "GET", "200"), overflow);
        assert_int_equal(prom_family_overflows(c), 4);
        prom_registry_free(r);
}

static void misuse_is_ignored_and_counted(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family =
                add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "c_total", .help = "h"});
        struct prom_counter *c = prom_counter_with(family);
        prom_counter_add(c, 2);
        prom_counter_add(c, -1);
        prom_counter_add(c, NAN);
        prom_counter_add(c, INFINITY);
        assert_int_equal(prom_family_ignored(family), 3);
        assert_null(prom_gauge_with(family));
        assert_null(prom_histogram_with(family));
        assert_null(prom_counter_with(family, "one too many"));
        assert_int_equal(prom_family_ignored(family), 6);
        assert_true(prom_counter_value(c) == 2);
        assert_true(says(r, "prom_ignored_updates_total{family=\"c_total\"} 6\n"));

        assert_null(prom_counter_with(NULL));
        prom_counter_inc(NULL);
        prom_counter_add(NULL, 1);
        prom_counter_add_int(NULL, 1);
        prom_gauge_set(NULL, 1);
        prom_gauge_dec(NULL);
        assert_true(prom_counter_value(NULL) == 0 && prom_gauge_value(NULL) == 0);
        prom_registry_free(r);
}

static void integers_and_fractions_add_up(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_counter *c = prom_counter_with(
                add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "c_total", .help = "h"}));
        prom_counter_add(c, 0);
        prom_counter_add(c, 0x1p53); /* a double would lose the following additions of 1 */
        prom_counter_inc(c);
        prom_counter_inc(c);
        assert_true(says(r, "\nc_total 9007199254740994\n"));
        prom_counter_add(c, 1e300);
        assert_true(prom_counter_value(c) == 1e300);
        prom_registry_free(r);
}

static void a_gauge_takes_any_double(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_gauge *g = prom_gauge_with(
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "g", .help = "h"}));
        prom_gauge_inc(g);
        prom_gauge_inc(g);
        prom_gauge_dec(g);
        prom_gauge_add(g, 1.5);
        prom_gauge_sub(g, 4);
        assert_true(prom_gauge_value(g) == -1.5);
        prom_gauge_set(g, NAN);
        assert_true(says(r, "\ng NaN\n"));
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_values_give_the_same_handle),
                cmocka_unit_test(many_series_are_found_again),
                cmocka_unit_test(look_ups_beyond_the_cap_get_the_overflow_series),
                cmocka_unit_test(the_default_cap_applies),
                cmocka_unit_test(misuse_is_ignored_and_counted),
                cmocka_unit_test(invalid_values_are_made_valid),
                cmocka_unit_test(integers_and_fractions_add_up),
                cmocka_unit_test(a_gauge_takes_any_double),
                cmocka_unit_test(values_of_every_length_are_told_apart),
                cmocka_unit_test(one_call_finds_the_series_of_each_family),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
