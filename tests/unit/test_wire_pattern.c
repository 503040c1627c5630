/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_clean(const char *path, const char *want)
{
        char clean[WIRE_PATTERN_MAX];

        if (!want) {
                assert_int_equal(wire_pattern_clean(path, clean), -EPERM);
                return;
        }
        assert_int_equal(wire_pattern_clean(path, clean), 0);
        assert_string_equal(clean, want);
}

static void paths_are_cleaned(void **state)
{
        char longer[2 * WIRE_PATTERN_MAX], clean[WIRE_PATTERN_MAX];

        expect_clean("a", "a");
        expect_clean("./a//b/.", "a/b");
        expect_clean("plots/", "plots");
        expect_clean("/tmp//x/", "/tmp/x");
        expect_clean("/", "/");
        expect_clean("", "");
        expect_clean("./", "");
        expect_clean("..a/b..", "..a/b..");
        expect_clean("..", NULL);
        expect_clean("a/../b", NULL);
        expect_clean("/..", NULL);
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        assert_int_equal(wire_pattern_clean(longer, clean), -ENAMETOOLONG);
}

static void names_match_patterns(void **state)
{
        static const struct {
                const char *pattern, *name;
                bool fits;
        } cases[] = {
                {"a", "a", true},
                {"a", "b", false},
                {"a", "a/b", true}, /* below it */
                {"a/b", "a", false},
                {"plots/*", "plots/a.png", true},
                {"plots/*", "plots/sub/a.png", true},
                {"plots/*", "plots", false},
                {"plots/*", "plots/.hidden", false},
                {"plots", "plots/.hidden", true},
                {"*.png", "a.png", true},
                {"*.png", "a.txt", false},
                {"*.png", "dir/a.png", false},
                {"*", "Makefile", true},
                {"*", ".bashrc", false},
                {"a[1].png", "a1.png", true},
                {"a[1].png", "a[1].png", true}, /* its own name */
                {"", "anything/at/all", true},
                {"", "", false},
                {"/", "/etc/passwd", true},
                {"/etc/*", "/etc/passwd", true},
                {"etc/*", "/etc/passwd", false},
                {"/etc/*", "etc/passwd", false},
                {"caf\xe9*", "caf\xe9.txt", true},
                {"*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 false},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (wire_pattern_fits(cases[i].pattern, cases[i].name) != cases[i].fits)
                        fail_msg("%s, %s", cases[i].pattern, cases[i].name);
}

static void the_fixed_part_ends_before_a_wildcard(void **state)
{
        assert_int_equal(wire_pattern_fixed("a/b*"), 1);
        assert_int_equal(wire_pattern_fixed("b*"), 0);
        assert_int_equal(wire_pattern_fixed("a/b"), 3);
        assert_int_equal(wire_pattern_fixed("/a/b/?/c"), 4);
        assert_int_equal(wire_pattern_fixed("/*"), 0);
        assert_int_equal(wire_pattern_fixed(""), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_cleaned),
                cmocka_unit_test(names_match_patterns),
                cmocka_unit_test(the_fixed_part_ends_before_a_wildcard),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
