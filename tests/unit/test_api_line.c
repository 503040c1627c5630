/* SPDX-License-Identifier: Apache-2.0 */
/* Lines are bytes; JSON and events are text. */
#include "api/line.h"

#include <jansson.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct output_event line_of(const char *bytes, size_t n)
{
        return (struct output_event){.type = OUTPUT_EVENT_LINE,
                                     .seq = 7,
                                     .stream = WORKLOAD_STDERR,
                                     .created_ms = 1700000000123,
                                     .bytes = bytes,
                                     .size = n};
}

static void a_line_in_json_has_the_documented_members(void **state)
{
        struct output_event e = line_of("say \"hi\"\\\t\x01\x7f é 😀", 20);
        struct buf text = BUF_INIT(4096);

        assert_int_equal(api_line_json(&text, &e), 0);
        assert_string_equal(text.data, "{\"seq\":7,\"stream\":\"stderr\",\"line\":\"say "
                                       "\\\"hi\\\"\\\\\\t\\u0001\\u007f é 😀\",\"created_at\":"
                                       "\"2023-11-14T22:13:20.123Z\"}");
        text.len = 0;
        e = line_of("a\xff", 2);
        e.partial = true;
        e.stream = WORKLOAD_STDOUT;
        assert_int_equal(api_line_json(&text, &e), 0);
        assert_string_equal(text.data,
                            "{\"seq\":7,\"stream\":\"stdout\",\"line\":\"a\xef\xbf\xbd\","
                            "\"created_at\":\"2023-11-14T22:13:20.123Z\",\"partial\":true,"
                            "\"base64\":\"Yf8=\"}");
        buf_release(&text);
}

/* Each invalid byte is replaced by one U+FFFD. */
static void invalid_utf8_is_replaced(void **state)
{
        static const struct {
                const char *bytes;
                size_t n, replaced;
        } cases[] = {
                {"\xc3\xa9", 2, 0},
                {"\xc0\x80", 2, 2},
                {"\xe0\x80\x80", 3, 3},
                {"\xed\xa0\x80", 3, 3},
                {"\xf0\x8f\xbf\xbf", 4, 4},
                {"\xf4\x90\x80\x80", 4, 4},
                {"\xf4\x8f\xbf\xbf", 4, 0},
                {"\xe2\x82", 2, 2},
                {"\x80", 1, 1},
                {"\xf5\x80\x80\x80", 4, 4},
                {"\0", 1, 0},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct output_event e = line_of(cases[i].bytes, cases[i].n);
                struct buf text = BUF_INIT(4096);
                size_t found = 0;
                json_t *json;

                assert_int_equal(api_line_json(&text, &e), 0);
                for (const char *s = text.data; (s = strstr(s, "\xef\xbf\xbd")) != NULL; s += 3)
                        found++;
                assert_int_equal(found, cases[i].replaced);
                json = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
                assert_non_null(json);
                assert_int_equal(json_object_get(json, "base64") != NULL, found != 0);
                json_decref(json);
                buf_release(&text);
        }
}

/* The JSON of any bytes parses, and contains the bytes. */
static void base64_preserves_any_bytes(void **state)
{
        uint8_t bytes[64], back[BASE64_DECODE_LENGTH(128)];
        unsigned seed = 3;

        for (int round = 0; round < 2000; round++) {
                size_t n = (size_t)round % sizeof(bytes), size = sizeof(back);
                struct output_event e = line_of((const char *)bytes, n);
                struct buf text = BUF_INIT(4096);
                struct base64_decode_ctx ctx;
                const char *base64;
                json_t *json;

                for (size_t i = 0; i < n; i++) {
                        seed = seed * 1103515245 + 12345;
                        bytes[i] = (uint8_t)(seed >> 16);
                        if (round & 1)
                                bytes[i] &= 0x7f;
                }
                assert_int_equal(api_line_json(&text, &e), 0);
                json = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
                assert_non_null(json);
                base64 = json_string_value(json_object_get(json, "base64"));
                if (base64) {
                        base64_decode_init(&ctx);
                        assert_true(
                                base64_decode_update(&ctx, &size, back, strlen(base64), base64));
                        assert_int_equal(size, n);
                        assert_memory_equal(back, bytes, n);
                } else {
                        json_t *line = json_object_get(json, "line");

                        assert_int_equal(json_string_length(line), n);
                        assert_memory_equal(json_string_value(line), bytes, n);
                }
                json_decref(json);
                buf_release(&text);
        }
}

static void line_ends_in_a_line_do_not_break_its_event(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
                bool partial;
                const char *want;
        } cases[] = {
                {"hello", 5, false, "data: hello\n"},
                {"", 0, false, "data: \n"},
                {"dos\r", 4, false, "data: dos\n"},
                {"\rspinner", 8, true, "data: \ndata: spinner\n"},
                {"a\rb\r\r", 5, false, "data: a\ndata: b\ndata: \n"},
                {"nul\0ff\xff", 7, false,
                 "data: nul\xef\xbf\xbd"
                 "ff\xef\xbf\xbd\n"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct output_event e = line_of(cases[i].bytes, cases[i].n);
                struct buf text = BUF_INIT(4096);

                e.partial = cases[i].partial;
                assert_int_equal(api_line_data(&text, &e), 0);
                assert_string_equal(text.data, cases[i].want);
                buf_release(&text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_in_json_has_the_documented_members),
                cmocka_unit_test(invalid_utf8_is_replaced),
                cmocka_unit_test(base64_preserves_any_bytes),
                cmocka_unit_test(line_ends_in_a_line_do_not_break_its_event),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
