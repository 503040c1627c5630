/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"
#include "wire/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
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

static const char *const argv[] = {"python3", "-u", "main.py", "\xc3\xa4 \"x\"\n", ""};
static const char *const env[] = {"A=1", "EMPTY=", "EQ=a=b"};

static struct wire_request full_request(void)
{
        return (struct wire_request){
                .protocol = WIRE_PROTOCOL,
                .id = "01JABCDEFGHJKMNPQRSTVWXYZ0",
                .argv = argv,
                .argc = 5,
                .env = env,
                .n_env = 3,
                .file = "src/main.py",
                .code_size = WIRE_CODE_MAX,
                .code_sha256 = SHA,
                .files = WIRE_FILES_MAX,
                .files_size = WIRE_FILES_SIZE_MAX,
                .fetch = env,
                .n_fetch = 3,
                .fetch_max = 7,
                .has_stdin = true,
                .timeout_ms = WIRE_TIMEOUT_MAX_MS,
                .processes_max = 77,
                .output_max = INT64_MAX,
                .wall_clock_ms = 1700000000123,
                .network = {.enabled = true,
                            .address = "172.30.0.2/30",
                            .gateway = "172.30.0.1",
                            .dns = {"1.1.1.1", "9.9.9.9"},
                            .n_dns = 2},
        };
}

static void test_request_round_trip(void **state)
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

/* Arguments, variables and names are bytes: what is not UTF-8 arrives as it was sent. */
/* A request for an archive, with what to look for in it. */
static struct wire_request archive_request(void)
{
        static const char *const words[] = {"sh", "main.sh"};

        return (struct wire_request){
                .protocol = WIRE_PROTOCOL,
                .id = "a",
                .argv = words,
                .argc = 2,
                .archive = true,
                .timeout_ms = 1,
                .entry = {.wanted = true,
                          .arg = 1,
                          .path = "src/caf\xe9.sh",
                          .names = {"main.sh", "package.json:main"},
                          .n_names = 2,
                          .suffixes = {".sh"},
                          .n_suffixes = 1},
        };
}

static void test_entry_round_trip(void **state)
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

static void test_entry_checked(void **state)
{
        struct wire_request in = archive_request();
        _cleanup_buf_ struct buf text = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        in.archive = false;
        in.file = "main.sh";
        assert_int_equal(wire_request_encode(&in, &text, &err), -EINVAL);
        assert_string_equal(err.msg,
                            "REQUEST: entry.arg is not a word of argv, or archive is false");
        expect_bad_entry("3", "REQUEST: entry is not an object");
        expect_bad_entry("{\"arg\":0,\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry.arg is not a word of argv, or archive is false");
        expect_bad_entry("{\"arg\":-1,\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry: arg is -1, allowed are 0 to 4095");
        expect_bad_entry("{\"arg\":0,\"suffixes\":[]}", "REQUEST: entry: names is missing");
        expect_bad_entry("{\"arg\":0,\"names\":[],\"suffixes\":[\".a\",\".a\",\".a\",\".a\",\".a\","
                         "\".a\",\".a\",\".a\",\".a\"]}",
                         "REQUEST: entry: suffixes has 9 entries, allowed are 8");
        expect_bad_entry("{\"arg\":0,\"path\":\"\",\"names\":[],\"suffixes\":[]}",
                         "REQUEST: entry: path has 0 bytes, allowed are 1 to 4095");
}

static void test_bytes_that_are_not_utf8_arrive(void **state)
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

static void test_hello_round_trip(void **state)
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

static void test_result_round_trip(void **state)
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

/* Texts for a person arrive printable whatever went in. */
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

static void test_error_texts_are_made_printable(void **state)
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

static void test_request_that_cannot_be_encoded(void **state)
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
        expect_bad_request(WITH(m.argc = 0), "REQUEST: argv is empty");
        expect_bad_request(WITH((m.env = no_key, m.n_env = 1)), "REQUEST: env[0] is not KEY=VALUE");
        expect_bad_request(WITH((m.env = no_equals, m.n_env = 1)),
                           "REQUEST: env[0] is not KEY=VALUE");
        expect_bad_request(WITH((m.env = many, m.n_env = WIRE_ARGS_MAX + 1)),
                           "REQUEST: env has 4097 entries, allowed are 4096");
        expect_bad_request(WITH((m.argv = huge, m.argc = 1)),
                           "REQUEST is larger than 262144 bytes");
        expect_bad_request(WITH(m.id = NULL), "REQUEST: id is missing");
        expect_bad_request(WITH(m.id = "a b"),
                           "REQUEST: id has a character that is no letter or digit");
        expect_bad_request(WITH(m.file = NULL), "REQUEST: file is missing");
        expect_bad_request(WITH(m.code_size = WIRE_CODE_MAX + 1),
                           "REQUEST: code_size is 16777217, allowed are 0 to 16777216");
        expect_bad_request(WITH(m.timeout_ms = 0),
                           "REQUEST: timeout_ms is 0, allowed are 1 to 86400000");
        expect_bad_request(WITH(m.output_max = UINT64_MAX),
                           "REQUEST: output_max is -1, allowed are 0 to 9223372036854775807");
        expect_bad_request(WITH(m.network.gateway = NULL), "REQUEST: network.gateway is missing");
        expect_bad_request(WITH(m.network.n_dns = 4),
                           "REQUEST: network: dns has 4 entries, allowed are 3");
}

static void test_encoding_respects_the_bound_of_the_buffer(void **state)
{
        struct wire_request m = full_request();
        struct buf b = BUF_INIT(16);
        struct err err = ERR_INIT;

        assert_int_equal(wire_request_encode(&m, &b, &err), -ENOBUFS);
        assert_int_equal(b.len, 0);
        buf_release(&b);
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

static void test_not_json(void **state)
{
        struct err err = ERR_INIT;

        expect_decoded(decode_hello, "[]", NULL, NULL, "HELLO is not a JSON object");
        expect_decoded(decode_result, "12", NULL, NULL,
                       "RESULT is not JSON: '[' or '{' expected near '12'");
        expect_decoded(decode_request, "{", NULL, NULL,
                       "REQUEST is not JSON: string or '}' expected near end of file");
        assert_int_equal(decode_hello("", 0, &err), -EPROTO);
        assert_int_equal(decode_hello(HELLO "\0", sizeof(HELLO), &err), -EPROTO);
}

static void test_hello_checked(void **state)
{
        expect_decoded(decode_hello, HELLO, NULL, NULL, NULL);
        expect_decoded(decode_hello, HELLO, "}", ",\"new\":[1]}", NULL);
        expect_decoded(decode_hello, HELLO, "}", ",\"error\":null}", NULL);
        expect_decoded(decode_hello, HELLO, "\"protocol\":2,", "", "HELLO: protocol is missing");
        expect_decoded(decode_hello, HELLO, "\"protocol\":2", "\"protocol\":3",
                       "HELLO: the other side speaks protocol 3, this one 2: build agent and host "
                       "from the same release");
        expect_decoded(decode_hello, HELLO, "\"0.1.0\"", "7", "HELLO: agent is not a string");
        expect_decoded(decode_hello, HELLO, "0.1.0", "\\u001b[2J",
                       "HELLO: agent contains control characters");
        expect_decoded(decode_hello, HELLO, "0.1.0", "a\\u0000b",
                       "HELLO is not JSON: \\u0000 is not allowed without JSON_ALLOW_NUL near "
                       "'\"a\\u0000b\"'");
        expect_decoded(decode_hello, HELLO, ",\"kernel\":\"6.1\"", "", "HELLO: kernel is missing");
        expect_decoded(decode_hello, HELLO, "\"init_us\":1", "\"init_us\":-1",
                       "HELLO: init_us is -1, allowed are 0 to 9223372036854775807");
        expect_decoded(decode_hello, HELLO, "\"init_us\":1", "\"init_us\":1.5",
                       "HELLO: init_us is not an integer");
        expect_decoded(decode_hello, HELLO, "}", ",\"error\":\"\"}",
                       "HELLO: error has 0 bytes, allowed are 1 to 1024");
        expect_decoded(decode_hello, HELLO, "}", ",\"agent\":\"x\"}",
                       "HELLO is not JSON: duplicate object key near '\"agent\"'");
}

static void test_request_checked(void **state)
{
        expect_decoded(decode_request, REQUEST, NULL, NULL, NULL);
        expect_decoded(decode_request, REQUEST, "\"01AB\"", "\"\"",
                       "REQUEST: id has 0 bytes, allowed are 1 to 63");
        expect_decoded(decode_request, REQUEST, "01AB", "../x",
                       "REQUEST: id has a character that is no letter or digit");
        expect_decoded(decode_request, REQUEST, "[\"python3\",\"main.py\"]", "[]",
                       "REQUEST: argv is empty");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "\"\"", "REQUEST: argv is empty");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "[]",
                       "REQUEST: argv[0]: must be a string or {\"base64\": \"…\"}");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"Y2Fm6Q==\"}", NULL);
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"Y2Fm6Q\"}",
                       "REQUEST: argv[0]: not base64, or cut short");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"YQBi\"}",
                       "REQUEST: argv[0]: must not contain a NUL character");
        expect_decoded(decode_request, REQUEST, "\"python3\"", "{\"base64\":\"\"}",
                       "REQUEST: argv is empty");
        expect_decoded(decode_request, REQUEST, "A=b", "\",{\"base64\":\"QQ==\"},\"A=b",
                       "REQUEST: env[0] is not KEY=VALUE");
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"",
                       "{\"base64\":\"/w==\"},\"archive\"", NULL);
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"",
                       "{\"base64\":\"\"},\"archive\"",
                       "REQUEST: file has 0 bytes, allowed are 1 to 4095");
        expect_decoded(decode_request, REQUEST, "\"main.py\",\"archive\"", "{},\"archive\"",
                       "REQUEST: file: must be a string or {\"base64\": \"…\"}");
        expect_decoded(decode_request, REQUEST, "[\"A=b\"]", "{}", "REQUEST: env is not a list");
        expect_decoded(decode_request, REQUEST, "A=b", "A", "REQUEST: env[0] is not KEY=VALUE");
        expect_decoded(decode_request, REQUEST, "\"file\":\"main.py\",", "",
                       "REQUEST: file is missing");
        expect_decoded(decode_request, REQUEST, "false", "0",
                       "REQUEST: archive is not true or false");
        expect_decoded(decode_request, REQUEST, "\"code_size\":5", "\"code_size\":16777217",
                       "REQUEST: code_size is 16777217, allowed are 0 to 16777216");
        expect_decoded(decode_request, REQUEST, "\"timeout_ms\":1000", "\"timeout_ms\":0",
                       "REQUEST: timeout_ms is 0, allowed are 1 to 86400000");
        expect_decoded(decode_request, REQUEST, "\"dns\":[]", "\"dns\":[\"a\",\"b\",\"c\",\"d\"]",
                       "REQUEST: network: dns has 4 entries, allowed are 3");
        expect_decoded(decode_request, REQUEST, "\"enabled\":false", "\"enabled\":true",
                       "REQUEST: network.address is missing");
        expect_decoded(decode_request, REQUEST, "{\"enabled\":false,\"dns\":[]}", "null",
                       "REQUEST: network is not an object");
}

static int decode_file(const void *bytes, size_t n, struct err *err)
{
        struct wire_file m;
        int r = wire_file_decode(bytes, n, &m, err);

        if (r == 0)
                wire_file_release(&m);
        return r;
}

static void test_file_checked(void **state)
{
        expect_decoded(decode_file, WIRE_FILE_TEXT, NULL, NULL, NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "{\"base64\":\"6Q==\"}", NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "\"\"",
                       "FILE: name has 0 bytes, allowed are 1 to 4095");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"a/b\"", "null", "FILE: name is missing");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"pattern\":0", "\"pattern\":64",
                       "FILE: pattern is 64, allowed are 0 to 63");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "420", "512",
                       "FILE: mode is 512, allowed are 0 to 511");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"size\":3", "\"size\":-1",
                       "FILE: size is -1, allowed are 0 to 9223372036854775807");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "0123456789abcdef\"", "0123456789abcdeF\"",
                       "FILE: sha256 is missing or not hexadecimal");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "cdef\"", "cde\"",
                       "FILE: sha256 has 63 bytes, allowed are 64 to 64");
        expect_decoded(decode_file, WIRE_FILE_TEXT, ",\"sha256\":\"" SHA "\"", "",
                       "FILE: sha256 is missing or not hexadecimal");
        expect_decoded(decode_file, WIRE_FILE_TEXT, "\"" SHA "\"", "null,\"error\":\"gone\"", NULL);
        expect_decoded(decode_file, WIRE_FILE_TEXT, "}", ",\"error\":\"gone\"}",
                       "FILE: sha256 of a file that is not there");
        expect_decoded(decode_request, REQUEST, "\"code_sha256\":\"" SHA "\",", "",
                       "REQUEST: code_sha256 is missing or not hexadecimal");
        expect_decoded(decode_request, REQUEST, "\"files\":1,", "\"files\":1025,",
                       "REQUEST: files is 1025, allowed are 0 to 1024");
        expect_decoded(decode_request, REQUEST, "\"x/*\"", "\"\"",
                       "REQUEST: fetch[0] is empty or too long");
}

static void test_file_round_trip(void **state)
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

static void test_result_checked(void **state)
{
        expect_decoded(decode_result, RESULT, NULL, NULL, NULL);
        expect_decoded(decode_result, RESULT, "\"exit_code\":3", "\"exit_code\":256",
                       "RESULT: exit_code is 256, allowed are -1 to 255");
        expect_decoded(decode_result, RESULT, "\"signal\":0", "\"signal\":65",
                       "RESULT: signal is 65, allowed are 0 to 64");
        expect_decoded(decode_result, RESULT, "\"signal\":0", "\"signal\":9",
                       "RESULT: exactly one of exit_code, signal and error says how it ended");
        expect_decoded(decode_result, RESULT, "}", ",\"error\":\"x\"}",
                       "RESULT: exactly one of exit_code, signal and error says how it ended");
        expect_decoded(decode_result, RESULT, "\"exit_code\":3", "\"exit_code\":-1",
                       "RESULT: exactly one of exit_code, signal and error says how it ended");
        expect_decoded(decode_result, RESULT, "\"exit_code\":3,\"signal\":0,\"timed_out\":false",
                       "\"exit_code\":-1,\"signal\":0,\"timed_out\":true", NULL);
        expect_decoded(decode_result, RESULT, "\"memory_peak\":4", "\"memory_peak\":1e3",
                       "RESULT: memory_peak is not an integer");
        expect_decoded(decode_result, RESULT, "\"oom\":false,", "", "RESULT: oom is missing");
}

static void test_oversized_and_deep_payloads(void **state)
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

static void test_release_of_nothing(void **state)
{
        struct wire_hello h = {0};
        struct wire_request q = {0};
        struct wire_result r = {0};
        struct wire_file f = {0};

        wire_file_release(&f);
        wire_hello_release(&h);
        wire_request_release(&q);
        wire_result_release(&r);
        assert_null(q.owned);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request_round_trip),
                cmocka_unit_test(test_entry_round_trip),
                cmocka_unit_test(test_entry_checked),
                cmocka_unit_test(test_bytes_that_are_not_utf8_arrive),
                cmocka_unit_test(test_hello_round_trip),
                cmocka_unit_test(test_result_round_trip),
                cmocka_unit_test(test_error_texts_are_made_printable),
                cmocka_unit_test(test_request_that_cannot_be_encoded),
                cmocka_unit_test(test_encoding_respects_the_bound_of_the_buffer),
                cmocka_unit_test(test_not_json),
                cmocka_unit_test(test_hello_checked),
                cmocka_unit_test(test_request_checked),
                cmocka_unit_test(test_file_checked),
                cmocka_unit_test(test_file_round_trip),
                cmocka_unit_test(test_result_checked),
                cmocka_unit_test(test_oversized_and_deep_payloads),
                cmocka_unit_test(test_release_of_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
