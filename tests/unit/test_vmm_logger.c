/* SPDX-License-Identifier: Apache-2.0 */
/* The VMM's log: a message is one line, whatever a request or a file name contains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "vmm/logger.h"

static void control_characters_are_escaped(void **state)
{
        char text[64];

        (void)state;
        logger_escape(text, sizeof(text), "a\nb\r\t\x7f\x1b[0m \xc3\xa9");
        assert_string_equal(text, "a\\x0ab\\x0d\\x09\\x7f\\x1b[0m \xc3\xa9");
        logger_escape(text, sizeof(text), "");
        assert_string_equal(text, "");
}

static void an_escape_is_never_cut(void **state)
{
        char text[8];

        (void)state;
        logger_escape(text, 7, "ab\n\n");
        assert_string_equal(text, "ab\\x0a");
        logger_escape(text, 6, "ab\n\n");
        assert_string_equal(text, "ab");
        logger_escape(text, 4, "abcdef");
        assert_string_equal(text, "abc");
        logger_escape(text, 1, "abc");
        assert_string_equal(text, "");
}

static void a_message_is_one_line(void **state)
{
        char path[] = "/tmp/logger-XXXXXX";
        int fd = mkstemp(path);
        struct buf text = BUF_INIT(8192);
        char longest[2048];
        int lines = 0;

        (void)state;
        assert_true(fd >= 0);
        memset(longest, '\n', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(logger_open(path, NULL), 0);
        logger_error("GET \"%s\"", "/a\n2026-01-01T00:00:00.000000000 [x:main] all is well");
        logger_error("%s", longest);
        logger_info("below the level");
        assert_int_equal(fs_read(path, &text, NULL), 0);
        for (size_t i = 0; i < text.len; i++)
                lines += text.data[i] == '\n';
        assert_int_equal(lines, 2);
        assert_int_equal(text.data[text.len - 1], '\n');
        text.data[text.len - 1] = '\0';
        assert_non_null(strstr(text.data, ":main] GET \"/a\\x0a2026-01-01T"));
        buf_release(&text);
        close(fd);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(control_characters_are_escaped),
                cmocka_unit_test(an_escape_is_never_cut),
                cmocka_unit_test(a_message_is_one_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
