/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events are parsed in one piece and byte by byte. */
#include "http/sse_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int note(void *ctx, const struct sse_event *e)
{
        return buf_printf(ctx, "<%s|%s|%s>", e->event, e->id, e->data);
}

/* Parses a stream in pieces of every size and expects the same events. */
static void check(const char *stream, const char *want)
{
        for (size_t piece = 1; piece <= strlen(stream); piece++) {
                struct buf seen = BUF_INIT(4096);
                struct sse_reader r = SSE_READER_INIT(note, &seen);

                for (size_t at = 0; at < strlen(stream); at += piece) {
                        size_t left = strlen(stream) - at;

                        assert_int_equal(
                                sse_reader_feed(&r, stream + at, left < piece ? left : piece), 0);
                }
                assert_string_equal(seen.len ? seen.data : "", want);
                sse_reader_release(&r);
                buf_release(&seen);
        }
}

static void events_are_parsed(void **state)
{
        check("data: one\n\n", "<message||one>");
        check("id: 7\ndata: one\n\ndata: two\n\n", "<message|7|one><message|7|two>");
        check("event: done\ndata: stream complete\n\n", "<done||stream complete>");
        check("event: x\ndata: 1\n\ndata: 2\n\n", "<x||1><message||2>");
        check("data: a\ndata: b\ndata\n\n", "<message||a\nb\n>");
        check("data:no blank\ndata:  two blanks\n\n", "<message||no blank\n two blanks>");
        check("data: a:b\n\n", "<message||a:b>");
}

static void comments_and_unknown_fields_are_ignored(void **state)
{
        check(":\n\n: heartbeat\n\ndata: x\n\n", "<message||x>");
        check("retry: 10\nunknown: y\nevent: z\n\ndata: x\n\n", "<message||x>");
        check("data: never ended\n", "");
        check("\xef\xbb\xbf"
              "data: x\n\n",
              "<message||x>");
}

static void every_kind_of_line_end_is_accepted(void **state)
{
        check("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "<message||a><message||b><message||c>");
        check("data: a\rdata: b\r\n\n", "<message||a\nb>");
}

static int stop(void *ctx, const struct sse_event *e)
{
        ++*(int *)ctx;
        return -ECANCELED;
}

static void the_callback_can_end_a_feed(void **state)
{
        int n = 0;
        struct sse_reader r = SSE_READER_INIT(stop, &n);

        assert_int_equal(sse_reader_feed(&r, "data: 1\n\ndata: 2\n\n", 18), -ECANCELED);
        assert_int_equal(n, 1);
        sse_reader_release(&r);
}

static void lines_data_and_names_are_bounded(void **state)
{
        struct buf seen = BUF_INIT(4096);
        struct sse_reader r = SSE_READER_INIT(note, &seen);
        char *big = malloc(SSE_LINE_MAX + 1);
        char id[SSE_NAME_MAX + 8];

        assert_non_null(big);
        memset(big, 'x', SSE_LINE_MAX + 1);
        assert_int_equal(sse_reader_feed(&r, big, SSE_LINE_MAX + 1), -EMSGSIZE);
        sse_reader_restart(&r);
        memset(id, 'i', sizeof(id));
        memcpy(id, "id: ", 4);
        id[sizeof(id) - 1] = '\n';
        assert_int_equal(sse_reader_feed(&r, id, sizeof(id)), -EMSGSIZE);
        sse_reader_release(&r);
        buf_release(&seen);
        free(big);
}

static void a_restart_keeps_the_id(void **state)
{
        struct buf seen = BUF_INIT(4096);
        struct sse_reader r = SSE_READER_INIT(note, &seen);

        assert_int_equal(sse_reader_feed(&r, "id: 3\ndata: a\n\ndata: hal", 24), 0);
        sse_reader_restart(&r);
        assert_int_equal(sse_reader_feed(&r, "data: b\n\n", 9), 0);
        assert_string_equal(seen.data, "<message|3|a><message|3|b>");
        sse_reader_release(&r);
        buf_release(&seen);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(events_are_parsed),
                cmocka_unit_test(comments_and_unknown_fields_are_ignored),
                cmocka_unit_test(every_kind_of_line_end_is_accepted),
                cmocka_unit_test(the_callback_can_end_a_feed),
                cmocka_unit_test(lines_data_and_names_are_bounded),
                cmocka_unit_test(a_restart_keeps_the_id),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
