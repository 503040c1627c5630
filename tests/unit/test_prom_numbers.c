/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: known forms; random doubles read back the same and are as short as possible. */
#include "prom/atomic.h"
#include "prom/number.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RANDOM_NUMBERS = 200000 };

static const char *text_of(double v)
{
        static char text[PROM_NUMBER_MAX + 1];
        size_t n = prom_format_number(v, text);
        assert_true(n > 0 && n <= PROM_NUMBER_MAX);
        text[n] = '\0';
        return text;
}

static void known_numbers_have_known_forms(void **state)
{
        static const struct {
                double v;
                const char *text;
        } known[] = {
                {0, "0"},
                {-0.0, "-0"},
                {1, "1"},
                {-1, "-1"},
                {10, "10"},
                {99, "99"},
                {100, "100"},
                {0.1, "0.1"},
                {0.3, "0.3"},
                {0.1 + 0.2, "0.30000000000000004"},
                {0.005, "0.005"},
                {0.0001, "0.0001"},
                {0.00001, "1e-05"},
                {0.00012345, "0.00012345"},
                {1.5e-7, "1.5e-07"},
                {123456.789, "123456.789"},
                {-2.5, "-2.5"},
                {9007199254740991, "9007199254740991"},
                {9007199254740992, "9007199254740992"},
                {1e15, "1000000000000000"},
                {1e20, "100000000000000000000"},
                {1e21, "1e+21"},
                {1e22, "1e+22"},
                {1e23, "1e+23"},
                {DBL_MAX, "1.7976931348623157e+308"},
                {DBL_MIN, "2.2250738585072014e-308"},
                {4.9406564584124654e-324, "5e-324"},
                {9.5367431640625e-07, "9.5367431640625e-07"},
                {2.98023223876953125e-8, "2.9802322387695312e-08"},
                {INFINITY, "+Inf"},
                {-INFINITY, "-Inf"},
                {NAN, "NaN"},
                {-NAN, "NaN"},
        };
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                assert_string_equal(text_of(known[i].v), known[i].text);
}

/* Significant digits, without zeros at either end. */
static int digits_in(const char *text)
{
        int n = 0, zeros = 0;
        for (; *text && *text != 'e'; text++) {
                if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
                        continue;
                zeros = *text == '0' ? zeros + 1 : 0;
                n++;
        }
        return n - zeros;
}

static void check_shortest(double v)
{
        char other[64];
        const char *text = text_of(v);
        if (strtod(text, NULL) != v)
                fail_msg("%a is written as %s", v, text);
        int n = digits_in(text);
        if (n > 1) { /* the closest decimal with one digit less is another double */
                snprintf(other, sizeof(other), "%.*e", n - 2, v);
                if (strtod(other, NULL) == v)
                        fail_msg("%a is written as %s, but %s would do", v, text, other);
        }
        /* Among decimals of this length it is the closest. */
        snprintf(other, sizeof(other), "%.*e", n > 0 ? n - 1 : 0, v);
        if (strtod(other, NULL) == v && strtold(other, NULL) != strtold(text, NULL)) {
                long double a = fabsl(strtold(other, NULL) - (long double)v);
                long double b = fabsl(strtold(text, NULL) - (long double)v);
                if (a < b)
                        fail_msg("%a is written as %s, but %s is closer", v, text, other);
        }
}

static uint64_t next_random(uint64_t *x)
{
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        return *x;
}

static void random_doubles_read_back_and_are_shortest(void **state)
{
        uint64_t x = 0x9e3779b97f4a7c15;
        for (int i = 0; i < RANDOM_NUMBERS; i++) {
                uint64_t bits = next_random(&x);
                double v;
                memcpy(&v, &bits, sizeof(v));
                if (isfinite(v))
                        check_shortest(v);
                check_shortest((double)(bits >> 20) / 1e6);
                check_shortest((double)(bits >> 44) / 1000);
        }
}

static void powers_of_two_and_their_neighbours_are_shortest(void **state)
{
        for (int e = 0; e < 52; e++) { /* subnormal doubles */
                check_shortest(double_of(UINT64_C(1) << e));
                check_shortest(double_of((UINT64_C(1) << e) + 1));
        }
        for (uint64_t e = 1; e < 2047; e++) {
                check_shortest(double_of(e << 52));
                check_shortest(double_of((e << 52) + 1));
                check_shortest(double_of((e << 52) - 1));
        }
        for (int e = -323; e <= 308; e++) {
                char text[16];
                snprintf(text, sizeof(text), "1e%d", e);
                check_shortest(strtod(text, NULL));
                assert_int_equal(digits_in(text_of(strtod(text, NULL))), 1);
        }
}

static void bounds_are_written_as_client_golang_does(void **state)
{
        static const struct {
                double v;
                const char *text, *open;
        } known[] = {
                {0, "0", "0.0"},
                {-0.0, "-0", "-0.0"},
                {1, "1", "1.0"},
                {-1, "-1", "-1.0"},
                {0.5, "0.5", "0.5"},
                {0.0001, "0.0001", "0.0001"},
                {0.00001, "1e-05", "1e-05"},
                {100000, "100000", "100000.0"},
                {999999, "999999", "999999.0"},
                {123456.5, "123456.5", "123456.5"},
                {1e6, "1e+06", "1e+06"},
                {-1e6, "-1e+06", "-1e+06"},
                {1234567, "1.234567e+06", "1.234567e+06"},
                {1234567.5, "1.2345675e+06", "1.2345675e+06"},
                {1e7, "1e+07", "1e+07"},
                {9007199254740991, "9.007199254740991e+15", "9.007199254740991e+15"},
                {1e100, "1e+100", "1e+100"},
                {(double)INFINITY, "+Inf", "+Inf"},
                {-(double)INFINITY, "-Inf", "-Inf"},
                {(double)NAN, "NaN", "NaN"},
        };
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                char text[PROM_NUMBER_MAX + 1];
                text[prom_format_bound_(known[i].v, text)] = '\0';
                assert_string_equal(text, known[i].text);
                text[prom_format_canonical_(known[i].v, text)] = '\0';
                assert_string_equal(text, known[i].open);
        }
}

static void integers_are_written_in_full(void **state)
{
        uint64_t x = 88172645463325252;
        char expected[32];
        for (int i = 0; i < 20000; i++) {
                double v = (double)(next_random(&x) >> (11 + i % 53));
                snprintf(expected, sizeof(expected), "%.0f", v);
                assert_string_equal(text_of(v), expected);
        }
}

static void counters_show_whole_numbers_exactly(void **state)
{
        static const char *const labels[] = {"n", NULL};
        const struct prom_desc desc = {
                .kind = PROM_COUNTER, .name = "whole_total", .help = "h", .labels = labels};
        struct prom_registry *r = prom_registry_new();
        struct prom_buf buf = PROM_BUF_INIT;
        struct prom_family *family;
        uint64_t power = 1, values[64] = {0, UINT64_MAX};
        size_t n = 2;
        for (int digits = 1; digits <= 20; digits++, power *= 10) {
                values[n++] = power - 1;
                values[n++] = power;
                values[n++] = power + 1;
        }
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        for (size_t i = 0; i < n; i++) {
                char label[32];
                snprintf(label, sizeof(label), "%zu", i);
                prom_counter_add_int(prom_counter_with(family, label), values[i]);
        }
        assert_int_equal(prom_render_text(r, &buf), 0);
        for (size_t i = 0; i < n; i++) {
                char line[128];
                snprintf(line, sizeof(line), "\nwhole_total{n=\"%zu\"} %" PRIu64 "\n", i,
                         values[i]);
                assert_non_null(strstr(buf.data, line));
        }
        prom_buf_release(&buf);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_numbers_have_known_forms),
                cmocka_unit_test(random_doubles_read_back_and_are_shortest),
                cmocka_unit_test(powers_of_two_and_their_neighbours_are_shortest),
                cmocka_unit_test(bounds_are_written_as_client_golang_does),
                cmocka_unit_test(integers_are_written_in_full),
                cmocka_unit_test(counters_show_whole_numbers_exactly),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
