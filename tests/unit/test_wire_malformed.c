/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed messages: each is rejected with -EPROTO and a message that names the field. */
#include "wire_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HELLO                                                                                      \
        "{\"protocol\":2,\"agent\":\"0.1.0\",\"kernel\":\"6.1\",\"init_us\":1,\"modules_us\":2,"   \
        "\"root_us\":3,\"connect_us\":4}"
#define REQUEST                                                                                    \
        "{\"protocol\":2,\"id\":\"01AB\",\"file\":\"main.py\",\"archive\":false,\"code_size\":5,"  \
        "\"has_stdin\":false,\"timeout_ms\":1000,\"processes_max\":0,\"output_max\":10,"           \
        "\"wall_clock_ms\":0,\"network\":{\"enabled\":false,\"dns\":[]},"                          \
        "\"code_sha256\":\"" SHA "\",\"files\":1,\"files_size\":3,\"fetch\":[\"x/*\"],"            \
        "\"fetch_max\":9,\"argv\":[\"python3\",\"main.py\"],\"env\":[\"A=b\"]}"
#define RESULT                                                                                     \
        "{\"exit_code\":3,\"signal\":0,\"timed_out\":false,\"oom\":false,\"wall_us\":1,"           \
        "\"user_us\":2,\"system_us\":3,\"memory_peak\":4,\"dropped_bytes\":5}"

#define WIRE_FILE_TEXT                                                                             \
        "{\"name\":\"a/b\",\"pattern\":0,\"mode\":420,\"size\":3,\"sha256\":\"" SHA "\"}"

static void expect_bad_entry(const char *entry, const char *message)
{
        char text[1024];
        struct wire_request out;
        struct err err = ERR_INIT;

        snprintf(text, sizeof(text), "%.*s,\"entry\":%s}", (int)strlen(REQUEST) - 1, REQUEST,
                 entry);
        assert_int_equal(wire_request_decode(text, strlen(text), &out, &err), -EPROTO);
        assert_string_equal(err.msg, message);
}

static void an_entry_out_of_bounds_is_rejected(void **state)
{
        struct wire_request in = archive_request();
        _cleanup_buf_ struct buf text = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        in.archive = false;
        in.file = "main.sh";
        assert_int_equal(wire_request_encode(&in, &text, &err), -EINVAL);
        assert_string_equal(err.msg, "REQUEST: entry: archive is false");
        expect_bad_entry("3", "REQUEST: entry: must be a JSON object");
        expect_bad_entry("{\"arg\":0,\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry: archive is false");
        expect_bad_entry("{\"arg\":-1,\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry.arg: -1 is not between 0 and 4095");
        expect_bad_entry("{\"arg\":0,\"suffixes\":[]}", "REQUEST: entry.names: missing");
        expect_bad_entry("{\"arg\":0,\"names\":[],\"suffixes\":[\".a\",\".a\",\".a\",\".a\",\".a\","
                         "\".a\",\".a\",\".a\",\".a\"]}",
                         "REQUEST: entry.suffixes: must have at most 8 entries");
        expect_bad_entry("{\"arg\":0,\"path\":\"\",\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry.path: must have 1 to 4095 bytes");
}

typedef int decode_fn(const void *, size_t, struct err *);

static int decode_hello(const void *bytes, size_t n, struct err *err)
{
        struct wire_hello m;
        int r = wire_hello_decode(bytes, n, &m, err);

        if (r == 0)
                wire_hello_release(&m);
        return r;
}

static int decode_request(const void *bytes, size_t n, struct err *err)
{
        struct wire_request m;
        int r = wire_request_decode(bytes, n, &m, err);

        if (r == 0)
                wire_request_release(&m);
        return r;
}

static int decode_result(const void *bytes, size_t n, struct err *err)
{
        struct wire_result m;
        int r = wire_result_decode(bytes, n, &m, err);

        if (r == 0)
                wire_result_release(&m);
        return r;
}

/* Decodes `good` with its first `from` replaced by `to` (NULL: as it is). */
static void expect_decoded(decode_fn *decode, const char *good, const char *from, const char *to,
                           const char *message)
{
        char text[2048];
        struct err err = ERR_INIT;
        const char *at = from ? strstr(good, from) : NULL;

        if (from) {
                assert_non_null(at);
                snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to,
                         at + strlen(from));
                good = text;
        }
        if (!message) {
                assert_int_equal(decode(good, strlen(good), &err), 0);
                return;
        }
        assert_int_equal(decode(good, strlen(good), &err), -EPROTO);
        assert_string_equal(err.msg, message);
        assert_int_equal(decode(good, strlen(good), NULL), -EPROTO);
}

static void payloads_that_are_not_json_objects_are_rejected(void **state)
{
        struct err err = ERR_INIT;

        expect_decoded(decode_hello, "[]", NULL, NULL, "HELLO: must be a JSON object");
        expect_decoded(decode_result, "12", NULL, NULL,
                       "RESULT: not JSON (line 1, column 2): '[' or '{' expected near '12'");
        expect_decoded(
                decode_request, "{", NULL, NULL,
                "REQUEST: not JSON (line 1, column 1): string or '}' expected near end of file");
        assert_int_equal(decode_hello("", 0, &err), -EPROTO);
        assert_int_equal(decode_hello(HELLO "\0", sizeof(HELLO), &err), -EPROTO);
}

static void a_malformed_hello_is_rejected(void **state)
{
        expect_decoded(decode_hello, HELLO, NULL, NULL, NULL);
        expect_decoded(decode_hello, HELLO, "}", ",\"new\":[1]}", NULL);
        expect_decoded(decode_hello, HELLO, "}", ",\"error\":null}", NULL);
        expect_decoded(decode_hello, HELLO, "\"protocol\":2,", "", "HELLO: protocol: missing");
        expect_decoded(decode_hello, HELLO, "\"protocol\":2", "\"protocol\":3",
                       "HELLO: the other side speaks protocol 3, this one 2: build agent and host "
                       "from the same release");
        expect_decoded(decode_hello, HELLO, "\"0.1.0\"", "7", "HELLO: agent: must be a string");
        expect_decoded(decode_hello, HELLO, "0.1.0", "\\u001b[2J",
                       "HELLO: agent: must not contain control characters");
        expect_decoded(decode_hello, HELLO, "0.1.0", "a\\u0000b",
                       "HELLO: not JSON (line 1, column 32): \\u0000 is not allowed without "
                       "JSON_ALLOW_NUL near "
                       "'\"a\\u0000b\"'");
        expect_decoded(decode_hello, HELLO, ",\"kernel\":\"6.1\"", "", "HELLO: kernel: missing");
        expect_decoded(decode_hello, HELLO, "\"init_us\":1", "\"init_us\":-1",
                       "HELLO: init_us: -1 is not between 0 and 9223372036854775807");
        expect_decoded(decode_hello, HELLO, "\"init_us\":1", "\"init_us\":1.5",
                       "HELLO: init_us: must be a whole number");
        expect_decoded(decode_hello, HELLO, "}", ",\"error\":\"\"}",
                       "HELLO: error: must have 1 to 1024 bytes");
        expect_decoded(
                decode_hello, HELLO, "}", ",\"agent\":\"x\"}",
                "HELLO: not JSON (line 1, column 106): duplicate object key near '\"agent\"'");
}

static void a_malformed_request_is_rejected(void **state)
{
        expect_decoded(decode_request, REQUEST, NULL, NULL, NULL);
        expect_decoded(decode_request, REQUEST, "\"01AB\"", "\"\"",
                       "REQUEST: id: must have 1 to 63 bytes");
        expect_decoded(decode_request, REQUEST, "01AB", "../x",
                       "REQUEST: id: must consist of letters, digits and hyphens");
        expect_decoded(decode_request, REQUEST, "[\"python3\",\"main.py\"]", "[]",
                       "REQUEST: argv: must not be empty");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "\"\"",
                       "REQUEST: argv: must not be empty");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "[]",
                       "REQUEST: argv[0]: must be a string or {\"base64\": \"…\"}");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"Y2Fm6Q==\"}", NULL);
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"Y2Fm6Q\"}",
                       "REQUEST: argv[0]: not base64, or cut short");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"YQBi\"}",
                       "REQUEST: argv[0]: must not contain a NUL character");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"\"}",
                       "REQUEST: argv: must not be empty");
        expect_decoded(decode_request, REQUEST, "A=b", "\",{\"base64\":\"QQ==\"},\"A=b",
                       "REQUEST: env[0]: must be KEY=VALUE");
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"",
                       "{\"base64\":\"/w==\"},\"archive\"", NULL);
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"",
                       "{\"base64\":\"\"},\"archive\"", "REQUEST: file: must have 1 to 4095 bytes");
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"", "{},\"archive\"",
                       "REQUEST: file: must be a string or {\"base64\": \"…\"}");
        expect_decoded(decode_request, REQUEST, "[\"A=b\"]", "{}",
                       "REQUEST: env: must be an array of strings");
        expect_decoded(decode_request, REQUEST, "A=b", "A", "REQUEST: env[0]: must be KEY=VALUE");
        expect_decoded(decode_request, REQUEST, "\"file\":\"main.py\",", "",
                       "REQUEST: file: missing");
        expect_decoded(decode_request, REQUEST, "false", "0",
                       "REQUEST: archive: must be true or false");
        expect_decoded(decode_request, REQUEST, "\"code_size\":5", "\"code_size\":16777217",
                       "REQUEST: code_size: 16777217 is not between 0 and 16777216");
        expect_decoded(decode_request, REQUEST, "\"timeout_ms\":1000", "\"timeout_ms\":0",
                       "REQUEST: timeout_ms: 0 is not between 1 and 86400000");
        expect_decoded(decode_request, REQUEST, "\"dns\":[]", "\"dns\":[\"a\",\"b\",\"c\",\"d\"]",
                       "REQUEST: network.dns: must have at most 3 entries");
        expect_decoded(decode_request, REQUEST, "\"enabled\":false", "\"enabled\":true",
                       "REQUEST: network.address: missing");
        expect_decoded(decode_request, REQUEST, "{\"enabled\":false,\"dns\":[]}", "null",
                       "REQUEST: network: missing");
}

static int decode_file(const void *bytes, size_t n, struct err *err)
{
        struct wire_file m;
        int r = wire_file_decode(bytes, n, &m, err);

        if (r == 0)
                wire_file_release(&m);
        return r;
}

static void a_malformed_file_is_rejected(void **state)
{
        expect_decoded(decode_file, WIRE_FILE_TEXT, NULL, NULL, NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "{\"base64\":\"6Q==\"}", NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "\"\"",
                       "FILE: name: must have 1 to 4095 bytes");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "null", "FILE: name: missing");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"pattern\":0", "\"pattern\":64",
                       "FILE: pattern: 64 is not between 0 and 63");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "420", "512",
                       "FILE: mode: 512 is not between 0 and 511");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"size\":3", "\"size\":-1",
                       "FILE: size: -1 is not between 0 and 9223372036854775807");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "0123456789abcdef\"", "0123456789abcdeF\"",
                       "FILE: sha256: missing or not hexadecimal");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "cdef\"", "cde\"",
                       "FILE: sha256: must have 64 bytes");
        expect_decoded(decode_file, WIRE_FILE_TEXT, ",\"sha256\":\"" SHA "\"", "",
                       "FILE: sha256: missing or not hexadecimal");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"" SHA "\"", "null,\"error\":\"gone\"", NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "}", ",\"error\":\"gone\"}",
                       "FILE: sha256: a file with an error has none");
        expect_decoded(decode_request, REQUEST, "\"code_sha256\":\"" SHA "\",", "",
                       "REQUEST: code_sha256: missing or not hexadecimal");
        expect_decoded(decode_request, REQUEST, "\"files\":1,", "\"files\":1025,",
                       "REQUEST: files: 1025 is not between 0 and 1024");
        expect_decoded(decode_request, REQUEST, "\"x/*\"", "\"\"",
                       "REQUEST: fetch[0]: must have 1 to 4095 bytes");
}

static void a_malformed_result_is_rejected(void **state)
{
        expect_decoded(decode_result, RESULT, NULL, NULL, NULL);
        expect_decoded(decode_result, RESULT, "\"exit_code\":3", "\"exit_code\":256",
                       "RESULT: exit_code: 256 is not between -1 and 255");
        expect_decoded(decode_result, RESULT, "\"signal\":0", "\"signal\":65",
                       "RESULT: signal: 65 is not between 0 and 64");
        expect_decoded(decode_result, RESULT, "\"signal\":0", "\"signal\":9",
                       "RESULT: must have exactly one of exit_code, signal and error");
        expect_decoded(decode_result, RESULT, "}", ",\"error\":\"x\"}",
                       "RESULT: must have exactly one of exit_code, signal and error");
        expect_decoded(decode_result, RESULT, "\"exit_code\":3", "\"exit_code\":-1",
                       "RESULT: must have exactly one of exit_code, signal and error");
        expect_decoded(decode_result, RESULT, "\"exit_code\":3,\"signal\":0,\"timed_out\":false",
                       "\"exit_code\":-1,\"signal\":0,\"timed_out\":true", NULL);
        expect_decoded(decode_result, RESULT, "\"memory_peak\":4", "\"memory_peak\":1e3",
                       "RESULT: memory_peak: must be a whole number");
        expect_decoded(decode_result, RESULT, "\"oom\":false,", "", "RESULT: oom: missing");
}

static void oversized_and_deep_payloads_are_rejected(void **state)
{
        size_t n = WIRE_CONTROL_MAX + 1;
        char *bytes = malloc(n);
        struct err err = ERR_INIT;

        assert_non_null(bytes);
        memset(bytes, '[', n);
        assert_int_equal(decode_request(bytes, n, &err), -EPROTO);
        assert_string_equal(err.msg, "REQUEST of 262145 bytes is larger than 262144");
        assert_int_equal(decode_request(bytes, n - 1, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "maximum parsing depth reached"));
        free(bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_entry_out_of_bounds_is_rejected),
                cmocka_unit_test(payloads_that_are_not_json_objects_are_rejected),
                cmocka_unit_test(a_malformed_hello_is_rejected),
                cmocka_unit_test(a_malformed_request_is_rejected),
                cmocka_unit_test(a_malformed_file_is_rejected),
                cmocka_unit_test(a_malformed_result_is_rejected),
                cmocka_unit_test(oversized_and_deep_payloads_are_rejected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
