/* SPDX-License-Identifier: Apache-2.0 */
/* Output of a program to a terminal and to a pipe. */
#include "cli/terminal.h"
#include "cli/writer.h"

#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

/* Feeds the text in pieces of every size; the result must be the same. */
static void check(const char *text, size_t n, const char *want)
{
        for (size_t piece = 1; piece <= n; piece++) {
                struct terminal_filter f = TERMINAL_FILTER_INIT;
                struct buf out = BUF_INIT(4096);

                for (size_t at = 0; at < n; at += piece)
                        assert_int_equal(terminal_filter(&f, text + at,
                                                         n - at < piece ? n - at : piece, &out),
                                         0);
                if (!out.data || strcmp(out.data, want) != 0)
                        fail_msg("pieces of %zu: \"%s\", not \"%s\"", piece,
                                 out.data ? out.data : "", want);
                buf_release(&out);
        }
}

#define CHECK(text, want) check(text, sizeof(text) - 1, want)

static void text_passes_the_filter(void **state)
{
        CHECK("caf\xc3\xa9\t\xe6\x97\xa5\r\n\a\b\f\v", "caf\xc3\xa9\t\xe6\x97\xa5\r\n\a\b\f\v");
        CHECK("a\xe2\x80\x8d"
              "b", /* joiners combine emoji and letters */
              "a\xe2\x80\x8d"
              "b");
}

static void colours_and_cursor_movements_pass(void **state)
{
        CHECK("\x1b[1;31mred\x1b[0m\x1b[2K\x1b[10A\x1b[38:5:1m\x1b[?25l\x1b[?25h\x1b(B",
              "\x1b[1;31mred\x1b[0m\x1b[2K\x1b[10A\x1b[38:5:1m\x1b[?25l\x1b[?25h\x1b(B");
}

static void other_escape_sequences_do_not_pass(void **state)
{
        CHECK("\x1b]0;title\a.", "?]0;title\a.");
        CHECK("\x1b]52;c;Zm9v\x1b\\.", "?]52;c;Zm9v?\\.");
        CHECK("\x1b[6n\x1b[c\x1b[?1049h\x1bPq\x1b\\.", "?[6n?[c?[?1049h?Pq?\\.");
        CHECK("\x05\x0e\x0f\x7f\x01.", "?????.");
        CHECK("a\0b", "a?b");
        CHECK("\x1b[1\x1b[1m.", "?[1\x1b[1m.");
        CHECK("\x1b[111111111111111111111111111111111111m",
              "?[111111111111111111111111111111111111m");
}

static void c1_and_bidi_characters_do_not_pass(void **state)
{
        CHECK("\x9b"
              "31m.",
              "?31m.");
        CHECK("\xc2\x9b"
              "31m.",
              "?31m.");
        CHECK("\xc2\x9d"
              "0;t\xc2\x9c.",
              "?0;t?.");
        CHECK("\xc0\x9b.", "??.");
        CHECK("a\xe2\x80\xae"
              "b\xe2\x81\xa6\xd8\x9c\xe2\x80\x8e\xe2\x80\xa8.",
              "a?b????.");
        CHECK("caf\xe9!", "caf?!");
}

static void an_incomplete_character_is_held(void **state)
{
        struct terminal_filter f = TERMINAL_FILTER_INIT;
        struct buf out = BUF_INIT(64);

        assert_int_equal(terminal_filter(&f, "x\xe6\x97", 3, &out), 0);
        assert_string_equal(out.data, "x");
        assert_int_equal(terminal_filter(&f, "\xa5", 1, &out), 0);
        assert_string_equal(out.data, "x\xe6\x97\xa5");
        buf_release(&out);
}

static const char nasty[] = "\x9b"
                            "31m\xe2\x80\xae\x1b]0;x\a\n";

static void the_writer_filters_only_for_terminals(void **state)
{
        struct writer w;
        struct err err = ERR_INIT;
        struct termios raw;
        char got[64] = "";
        int master, slave, pipe_fds[2];
        ssize_t n;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        tcgetattr(slave, &raw);
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
        assert_int_equal(writer_init(&w, &err), 0);
        assert_int_equal(writer_write(&w, slave, nasty, sizeof(nasty) - 1), 0);
        n = read(master, got, sizeof(got) - 1);
        assert_true(n > 0);
        got[n] = '\0';
        assert_string_equal(got, "?31m??]0;x\a\n");
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(writer_write(&w, pipe_fds[1], nasty, sizeof(nasty) - 1), 0);
        assert_int_equal(read(pipe_fds[0], got, sizeof(got)), sizeof(nasty) - 1);
        assert_memory_equal(got, nasty, sizeof(nasty) - 1);
        writer_release(&w);
        close(master);
        close(slave);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static void json_stays_equivalent(void **state)
{
        static const char json[] =
                "{\"a\": \"\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\xc3\xa9\x7f\"}\n";
        struct termios raw;
        char got[128] = "", *plain = NULL;
        int master, slave;
        size_t size = 0;
        ssize_t n;
        FILE *to;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        tcgetattr(slave, &raw);
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
        to = fdopen(slave, "w");
        assert_int_equal(terminal_write_json(json, sizeof(json) - 1, to), 0);
        fclose(to);
        n = read(master, got, sizeof(got) - 1);
        assert_true(n > 0);
        got[n] = '\0';
        assert_string_equal(got, "{\"a\": \"\\u009b\\u202e\\udb40\\udc01\xc3\xa9\\u007f\"}\n");
        close(master);
        to = open_memstream(&plain, &size);
        assert_int_equal(terminal_write_json(json, sizeof(json) - 1, to), 0);
        fclose(to);
        assert_string_equal(plain, json);
        free(plain);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_passes_the_filter),
                cmocka_unit_test(colours_and_cursor_movements_pass),
                cmocka_unit_test(other_escape_sequences_do_not_pass),
                cmocka_unit_test(c1_and_bidi_characters_do_not_pass),
                cmocka_unit_test(an_incomplete_character_is_held),
                cmocka_unit_test(the_writer_filters_only_for_terminals),
                cmocka_unit_test(json_stays_equivalent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
