/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_request_survives_the_round_trip(void **state)
{
        struct wire_request in = full_request(), out;
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        assert_int_equal(wire_request_encode(&in, &b, &err), 0);
        assert_int_equal(wire_request_decode(b.data, b.len, &out, &err), 0);
        buf_release(&b);
        assert_string_equal(out.id, in.id);
        assert_int_equal(out.argc, 5);
        for (size_t i = 0; i < 5; i++)
                assert_string_equal(out.argv[i], argv[i]);
        assert_null(out.argv[5]);
        assert_int_equal(out.n_env, 3);
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(out.env[i], env[i]);
        assert_null(out.env[3]);
        assert_string_equal(out.file, "src/main.py");
        assert_false(out.archive);
        assert_true(out.has_stdin);
        assert_int_equal(out.code_size, WIRE_CODE_MAX);
        assert_string_equal(out.code_sha256, SHA);
        assert_int_equal(out.files, WIRE_FILES_MAX);
        assert_int_equal(out.files_size, WIRE_FILES_SIZE_MAX);
        assert_int_equal(out.n_fetch, 3);
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(out.fetch[i], env[i]);
        assert_null(out.fetch[3]);
        assert_int_equal(out.fetch_max, 7);
        assert_int_equal(out.timeout_ms, WIRE_TIMEOUT_MAX_MS);
        assert_int_equal(out.processes_max, 77);
        assert_true(out.output_max == INT64_MAX);
        assert_true(out.wall_clock_ms == 1700000000123);
        assert_true(out.network.enabled);
        assert_string_equal(out.network.address, "172.30.0.2/30");
        assert_string_equal(out.network.gateway, "172.30.0.1");
        assert_int_equal(out.network.n_dns, 2);
        assert_string_equal(out.network.dns[1], "9.9.9.9");
        wire_request_release(&out);
        wire_request_release(&out);
}

static void an_entry_survives_the_round_trip(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(WIRE_CONTROL_MAX);
        struct wire_request in = archive_request(), out;
        struct err err = ERR_INIT;

        assert_int_equal(wire_request_encode(&in, &text, &err), 0);
        assert_int_equal(wire_request_decode(text.data, text.len, &out, &err), 0);
        assert_true(out.entry.wanted);
        assert_int_equal(out.entry.arg, 1);
        assert_string_equal(out.entry.path, "src/caf\xe9.sh");
        assert_int_equal(out.entry.n_names, 2);
        assert_string_equal(out.entry.names[1], "package.json:main");
        assert_int_equal(out.entry.n_suffixes, 1);
        assert_string_equal(out.entry.suffixes[0], ".sh");
        wire_request_release(&out);

        in.entry.wanted = false;
        text.len = 0;
        assert_int_equal(wire_request_encode(&in, &text, &err), 0);
        assert_null(strstr(text.data, "entry"));
        assert_int_equal(wire_request_decode(text.data, text.len, &out, &err), 0);
        assert_false(out.entry.wanted);
        wire_request_release(&out);
}

static void bytes_that_are_not_utf8_arrive_unchanged(void **state)
{
        static const char *const words[] = {"caf\xe9", "\xff\xfe", "\xed\xa0\x80", "\xc3\xa9"};
        static const char *const pairs[] = {"CAF=\xe9", "\xe9=1"};
        struct wire_request in = full_request(), out;
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        in.argv = words;
        in.argc = 4;
        in.env = pairs;
        in.n_env = 2;
        in.file = "src/\xe9.py";
        assert_int_equal(wire_request_encode(&in, &b, &err), 0);
        assert_int_equal(wire_request_decode(b.data, b.len, &out, &err), 0);
        buf_release(&b);
        for (size_t i = 0; i < 4; i++)
                assert_string_equal(out.argv[i], words[i]);
        for (size_t i = 0; i < 2; i++)
                assert_string_equal(out.env[i], pairs[i]);
        assert_string_equal(out.file, "src/\xe9.py");
        wire_request_release(&out);
}

static void a_hello_survives_the_round_trip(void **state)
{
        struct wire_hello in = {.protocol = WIRE_PROTOCOL,
                                .agent = "0.1.0",
                                .kernel = "6.1.0-44-cloud-amd64",
                                .init_us = 100,
                                .modules_us = 200,
                                .root_us = 300,
                                .connect_us = 400};
        struct wire_hello out;
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);

        assert_int_equal(wire_hello_encode(&in, &b, NULL), 0);
        assert_int_equal(wire_hello_decode(b.data, b.len, &out, NULL), 0);
        assert_string_equal(out.agent, in.agent);
        assert_string_equal(out.kernel, in.kernel);
        assert_null(out.error);
        assert_int_equal(out.init_us, 100);
        assert_int_equal(out.modules_us, 200);
        assert_int_equal(out.root_us, 300);
        assert_int_equal(out.connect_us, 400);
        wire_hello_release(&out);
        buf_release(&b);
}

static void a_result_survives_the_round_trip(void **state)
{
        struct wire_result in = {.exit_code = -1,
                                 .signal = 9,
                                 .timed_out = true,
                                 .oom = true,
                                 .wall_us = 1,
                                 .user_us = 2,
                                 .system_us = 3,
                                 .memory_peak = UINT64_C(1) << 40,
                                 .dropped_bytes = 5};
        struct wire_result out;
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);

        assert_int_equal(wire_result_encode(&in, &b, NULL), 0);
        assert_int_equal(wire_result_decode(b.data, b.len, &out, NULL), 0);
        assert_int_equal(out.exit_code, -1);
        assert_int_equal(out.signal, 9);
        assert_true(out.timed_out);
        assert_true(out.oom);
        assert_null(out.error);
        assert_true(out.memory_peak == UINT64_C(1) << 40);
        assert_int_equal(out.dropped_bytes, 5);
        wire_result_release(&out);
        buf_release(&b);
}

/* Any text for a person arrives printable. */
static void expect_error_text(const char *in, const char *expected)
{
        struct wire_result r = {.exit_code = -1, .error = in}, out;
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);

        assert_int_equal(wire_result_encode(&r, &b, NULL), 0);
        assert_int_equal(wire_result_decode(b.data, b.len, &out, NULL), 0);
        assert_string_equal(out.error, expected);
        wire_result_release(&out);
        buf_release(&b);
}

static void error_texts_are_made_printable(void **state)
{
        char longer[3 * WIRE_TEXT_MAX], cut[WIRE_TEXT_MAX + 1];

        expect_error_text("plain", "plain");
        expect_error_text("\xc3\xa4", "\xc3\xa4");
        expect_error_text("a\nb\x1b[1m\x7f", "a?b?[1m?");
        expect_error_text("cut \xc3", "cut ?");
        expect_error_text("\xff\xfe \xc3\xa4", "?? ??");
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        memset(cut, 'x', WIRE_TEXT_MAX);
        cut[WIRE_TEXT_MAX] = '\0';
        expect_error_text(longer, cut);
}

static void expect_bad_request(struct wire_request m, const char *message)
{
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        assert_true(wire_request_encode(&m, &b, &err) < 0);
        assert_string_equal(err.msg, message);
        assert_int_equal(b.len, 0);
        buf_release(&b);
}

#define WITH(change)                                                                               \
        ({                                                                                         \
                struct wire_request m = full_request();                                            \
                change;                                                                            \
                m;                                                                                 \
        })

static void an_invalid_request_is_not_encoded(void **state)
{
        static const char *const no_key[] = {"=x"};
        static const char *const no_equals[] = {"x"};
        static const char *many[WIRE_ARGS_MAX + 1];
        char big[WIRE_CONTROL_MAX + 1];
        const char *const huge[] = {big};

        for (size_t i = 0; i < WIRE_ARGS_MAX + 1; i++)
                many[i] = "x=y";
        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        expect_bad_request(WITH(m.argc = 0), "REQUEST: argv: must not be empty");
        expect_bad_request(WITH((m.env = no_key, m.n_env = 1)),
                           "REQUEST: env[0]: must be KEY=VALUE");
        expect_bad_request(WITH((m.env = no_equals, m.n_env = 1)),
                           "REQUEST: env[0]: must be KEY=VALUE");
        expect_bad_request(WITH((m.env = many, m.n_env = WIRE_ARGS_MAX + 1)),
                           "REQUEST: env: must have at most 4096 entries");
        expect_bad_request(WITH((m.argv = huge, m.argc = 1)),
                           "REQUEST is larger than 262144 bytes");
        expect_bad_request(WITH(m.id = NULL), "REQUEST: id: missing");
        expect_bad_request(WITH(m.id = "a b"),
                           "REQUEST: id: must consist of letters, digits and hyphens");
        expect_bad_request(WITH(m.file = NULL), "REQUEST: file: missing");
        expect_bad_request(WITH(m.code_size = WIRE_CODE_MAX + 1),
                           "REQUEST: code_size: 16777217 is not between 0 and 16777216");
        expect_bad_request(WITH(m.timeout_ms = 0), "REQUEST: timeout_ms: missing");
        expect_bad_request(WITH(m.output_max = UINT64_MAX),
                           "REQUEST: output_max: -1 is not between 0 and 9223372036854775807");
        expect_bad_request(WITH(m.network.gateway = NULL), "REQUEST: network.gateway: missing");
        expect_bad_request(WITH(m.network.n_dns = 4),
                           "REQUEST: network.dns: must have at most 3 entries");
}

static void encoding_stops_at_the_bound_of_the_buffer(void **state)
{
        struct wire_request m = full_request();
        struct buf b = BUF_INIT(16);
        struct err err = ERR_INIT;

        assert_int_equal(wire_request_encode(&m, &b, &err), -ENOBUFS);
        assert_int_equal(b.len, 0);
        buf_release(&b);
}

static void a_file_survives_the_round_trip(void **state)
{
        struct wire_file in = {
                .name = "\xe9/\xff", .pattern = 3, .mode = 0755, .size = 5, .sha256 = SHA};
        struct wire_file refused = {.error = "no such\nfile", .pattern = 1, .size = 12}, out;
        struct buf b = BUF_INIT(WIRE_FILE_MAX);
        struct err err = ERR_INIT;

        assert_int_equal(wire_file_encode(&in, &b, &err), 0);
        assert_int_equal(wire_file_decode(b.data, b.len, &out, &err), 0);
        assert_string_equal(out.name, in.name);
        assert_int_equal(out.pattern, 3);
        assert_int_equal(out.mode, 0755);
        assert_int_equal(out.size, 5);
        assert_string_equal(out.sha256, SHA);
        assert_null(out.error);
        wire_file_release(&out);
        b.len = 0;
        assert_int_equal(wire_file_encode(&refused, &b, &err), 0);
        assert_int_equal(wire_file_decode(b.data, b.len, &out, &err), 0);
        assert_null(out.name);
        assert_string_equal(out.error, "no such?file");
        assert_int_equal(out.size, 12);
        wire_file_release(&out);
        in.sha256 = "abc";
        assert_int_equal(wire_file_encode(&in, &b, &err), -EINVAL);
        buf_release(&b);
}

static void zeroed_messages_can_be_released(void **state)
{
        struct wire_hello h = {0};
        struct wire_request q = {0};
        struct wire_result r = {0};
        struct wire_file f = {0};

        wire_file_release(&f);
        wire_hello_release(&h);
        wire_request_release(&q);
        wire_result_release(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_request_survives_the_round_trip),
                cmocka_unit_test(an_entry_survives_the_round_trip),
                cmocka_unit_test(bytes_that_are_not_utf8_arrive_unchanged),
                cmocka_unit_test(a_hello_survives_the_round_trip),
                cmocka_unit_test(a_result_survives_the_round_trip),
                cmocka_unit_test(error_texts_are_made_printable),
                cmocka_unit_test(an_invalid_request_is_not_encoded),
                cmocka_unit_test(encoding_stops_at_the_bound_of_the_buffer),
                cmocka_unit_test(a_file_survives_the_round_trip),
                cmocka_unit_test(zeroed_messages_can_be_released),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
