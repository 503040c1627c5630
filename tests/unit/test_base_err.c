/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void untrusted_text_stays_on_one_line(void **state)
{
        struct err err = ERR_INIT;

        (void)state;
        assert_int_equal(err_set(&err, EINVAL, "unknown \"%s\"", "a\nb\x1b[31m\x7f"), -EINVAL);
        assert_string_equal(err.msg, "unknown \"a?b?[31m?\"");
        err_wrap(&err, "file %s", "c\rd");
        assert_string_equal(err.msg, "file c?d: unknown \"a?b?[31m?\"");
        errno = ENOENT;
        assert_int_equal(err_errno(&err, "open %s", "\t\xc3\xa4"), -ENOENT);
        assert_string_equal(err.msg, "open ?\xc3\xa4: No such file or directory");
}

static void long_messages_end_in_an_ellipsis(void **state)
{
        struct err err = ERR_INIT;
        char text[2 * ERR_MESSAGE_MAX];

        (void)state;
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        err_set(&err, EINVAL, "%s", text);
        assert_int_equal(strlen(err.msg), ERR_MESSAGE_MAX - 1);
        assert_string_equal(err.msg + ERR_MESSAGE_MAX - 4, "...");
        assert_int_equal(err_set(NULL, EINVAL, "%s", text), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(untrusted_text_stays_on_one_line),
                cmocka_unit_test(long_messages_end_in_an_ellipsis),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
