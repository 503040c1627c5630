/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t put(uint8_t *at, unsigned type, const void *payload, uint32_t len)
{
        wire_header(at, (enum wire_type)type, len);
        if (len)
                memcpy(at + WIRE_HEADER_SIZE, payload, len);
        return WIRE_HEADER_SIZE + len;
}

static void the_header_is_a_big_endian_length_and_a_type(void **state)
{
        uint8_t h[WIRE_HEADER_SIZE];

        wire_header(h, WIRE_STDERR, 0x020103);
        assert_memory_equal(h, "\x00\x02\x01\x03\x06", 5);
}

static void a_stream_may_be_cut_anywhere(void **state)
{
        uint8_t stream[256];
        size_t len = 0;

        len += put(stream + len, WIRE_HELLO, "{}", 2);
        len += put(stream + len, WIRE_STDIN, NULL, 0);
        len += put(stream + len, WIRE_STDOUT, "a\0b", 3);
        for (size_t cut = 0; cut <= len; cut++) {
                static const size_t whole[] = {7, 5, 8};
                size_t at = 0;
                struct wire_frame f;
                int n = 0;

                for (;;) {
                        struct err err = ERR_INIT;
                        ssize_t r = wire_decode(stream + at, cut - at, &f, &err);

                        assert_true(r >= 0);
                        if (r == 0)
                                break;
                        assert_int_equal(r, whole[n]);
                        at += (size_t)r;
                        n++;
                }
                assert_int_equal(n, (cut >= 7) + (cut >= 12) + (cut >= 20));
        }
}

static void the_payload_is_borrowed(void **state)
{
        uint8_t bytes[16];
        size_t n = put(bytes, WIRE_STDOUT, "xyz", 3);
        struct wire_frame f;

        assert_int_equal(wire_decode(bytes, n, &f, NULL), 8);
        assert_int_equal(f.type, WIRE_STDOUT);
        assert_int_equal(f.len, 3);
        assert_ptr_equal(f.payload, bytes + WIRE_HEADER_SIZE);
}

static void the_largest_frame_is_decoded(void **state)
{
        uint8_t *bytes = malloc(WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX);
        struct wire_frame f;

        assert_non_null(bytes);
        wire_header(bytes, WIRE_CODE, WIRE_PAYLOAD_MAX);
        assert_int_equal(wire_decode(bytes, WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX - 1, &f, NULL), 0);
        assert_int_equal(wire_decode(bytes, WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX, &f, NULL),
                         WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX);
        free(bytes);
}

static void expect_malformed(const char *header, const char *message)
{
        struct wire_frame f = {.len = 77};
        struct err err = ERR_INIT;

        /* Without a payload: the header is enough to reject the frame. */
        assert_int_equal(wire_decode((const uint8_t *)header, WIRE_HEADER_SIZE, &f, &err), -EPROTO);
        assert_string_equal(err.msg, message);
        assert_int_equal(f.len, 77);
}

static void malformed_headers_are_rejected(void **state)
{
        expect_malformed("\0\0\0\1\0", "frame of unknown type 0");
        expect_malformed("\0\0\0\1\14", "frame of unknown type 12");
        expect_malformed("\0\0\0\1\377", "frame of unknown type 255");
        expect_malformed("\0\4\0\1\5", "STDOUT frame of 262145 bytes is larger than 262144");
        expect_malformed("\377\377\377\377\3",
                         "CODE frame of 4294967295 bytes is larger than 262144");
        expect_malformed("\0\0\0\101\10", "PING frame of 65 bytes is larger than 64");
        expect_malformed("\0\0\0\101\11", "PONG frame of 65 bytes is larger than 64");
        expect_malformed("\0\0\0\0\5", "empty STDOUT frame");
        expect_malformed("\0\0\0\0\6", "empty STDERR frame");
        expect_malformed("\0\0\0\0\1", "empty HELLO frame");
        expect_malformed("\0\0\0\0\2", "empty REQUEST frame");
        expect_malformed("\0\0\0\0\7", "empty RESULT frame");
}

static void the_error_is_optional(void **state)
{
        struct wire_frame f;

        assert_int_equal(wire_decode((const uint8_t *)"\0\0\0\0\0", 5, &f, NULL), -EPROTO);
}

static void every_type_has_a_name(void **state)
{
        assert_string_equal(wire_type_name(WIRE_HELLO), "HELLO");
        assert_string_equal(wire_type_name(WIRE_PONG), "PONG");
        assert_string_equal(wire_type_name(0), "unknown");
        assert_string_equal(wire_type_name(WIRE_TYPE_LAST + 1), "unknown");
        assert_string_equal(wire_type_name(4000000000u), "unknown");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_header_is_a_big_endian_length_and_a_type),
                cmocka_unit_test(a_stream_may_be_cut_anywhere),
                cmocka_unit_test(the_payload_is_borrowed),
                cmocka_unit_test(the_largest_frame_is_decoded),
                cmocka_unit_test(malformed_headers_are_rejected),
                cmocka_unit_test(the_error_is_optional),
                cmocka_unit_test(every_type_has_a_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
