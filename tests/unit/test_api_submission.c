/* SPDX-License-Identifier: Apache-2.0 */
#include "api/submission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A whole archive is not needed: the host reads only the first two bytes. */
#define GZIP "H4sIAAAAAAAAAwMAAAAAAAAAAAA="

static void a_submission_with_all_members_is_parsed(void **state)
{
        static const char body[] =
                "{\"runtime\": \"python\", \"isolation\": \"microvm\", \"code\": "
                "\"print(1)\\u0000\","
                "\"args\": [\"one\", \"\", \"\\u00fc\"],"
                "\"env\": {\"A\": \"b=c\", \"B\": \"\"}, \"input\": \"some \\u0000 input\","
                "\"network\": \"nat\","
                "\"resources\": {\"cpus\": 2, \"mem_mb\": 512, \"timeout_s\": 3}}";
        struct api_submission submission;
        struct err err = ERR_INIT;
        char input[32];

        if (api_submission_parse(body, strlen(body), &submission, &err) < 0)
                fail_msg("%s", err.msg);
        assert_string_equal(submission.spec.runtime, "python");
        assert_string_equal(submission.isolation, "microvm");
        assert_int_equal(submission.spec.code_size, 9);
        assert_memory_equal(submission.spec.code, "print(1)\0", 9);
        assert_false(submission.spec.archive);
        assert_int_equal(submission.spec.n_args, 3);
        assert_string_equal(submission.spec.args[1], "");
        assert_string_equal(submission.spec.args[2], "\xc3\xbc");
        assert_int_equal(submission.spec.n_env, 2);
        assert_string_equal(submission.spec.env[0], "A=b=c");
        assert_int_equal(read(submission.spec.stdin_fd, input, sizeof(input)), 12);
        assert_memory_equal(input, "some \0 input", 12);
        assert_int_equal(submission.spec.network, WORKLOAD_NETWORK_NAT);
        assert_int_equal(submission.spec.limits.cpus, 2);
        assert_int_equal(submission.spec.limits.mem_mb, 512);
        assert_int_equal(submission.spec.limits.timeout_s, 3);
        api_submission_release(&submission);
}

static void missing_members_have_defaults(void **state)
{
        static const char body[] = "{\"runtime\": \"sh\", \"code\": \"x\", \"env\": null,"
                                   "\"code_archive\": null, \"resources\": {\"cpus\": null}}";
        struct api_submission submission;

        assert_int_equal(api_submission_parse(body, strlen(body), &submission, NULL), 0);
        assert_string_equal(submission.isolation, "auto");
        assert_int_equal(submission.spec.stdin_fd, -1);
        assert_int_equal(submission.spec.network, WORKLOAD_NETWORK_NONE);
        assert_int_equal(submission.spec.limits.cpus, 0);
        assert_null(submission.spec.entrypoint);
        api_submission_release(&submission);
}

static void input_may_be_bytes(void **state)
{
        static const char body[] = "{\"runtime\": \"sh\", \"code\": \"x\", \"input\": null, "
                                   "\"input_base64\": \"/wAK\"}";
        struct api_submission submission;
        char input[8];

        assert_int_equal(api_submission_parse(body, strlen(body), &submission, NULL), 0);
        assert_int_equal(read(submission.spec.stdin_fd, input, sizeof(input)), 3);
        assert_memory_equal(input, "\xff\0\n", 3);
        api_submission_release(&submission);
}

static void archives_are_decoded(void **state)
{
        static const char body[] = "{\"runtime\": \"sh\", \"entrypoint\": \"a/main.sh\", "
                                   "\"code_archive\": \"" GZIP "\", \"code\": null}";
        struct api_submission submission;
        struct err err = ERR_INIT;

        if (api_submission_parse(body, strlen(body), &submission, &err) < 0)
                fail_msg("%s", err.msg);
        assert_true(submission.spec.archive);
        assert_string_equal(submission.spec.entrypoint, "a/main.sh");
        assert_int_equal(submission.spec.code_size, 20);
        assert_memory_equal(submission.spec.code, "\x1f\x8b\x08\0", 4);
        api_submission_release(&submission);
}

struct wrong {
        const char *body, *message;
};

static void check_wrong(const struct wrong *w, size_t n)
{
        for (; n > 0; n--, w++) {
                struct api_submission submission;
                struct err err = ERR_INIT;
                int r = api_submission_parse(w->body, strlen(w->body), &submission, &err);

                if (r != -EINVAL || strncmp(err.msg, w->message, strlen(w->message)))
                        fail_msg("%s: %d, \"%s\"", w->body, r, err.msg);
        }
}

static void errors_in_code_name_their_member(void **state)
{
        static const struct wrong cases[] = {
                {"", "body: empty; it must be a JSON object"},
                {"{", "body: not JSON (line 1, column 1)"},
                {"{} x", "body: not JSON"},
                {"\xef\xbb\xbf{}", "body: begins with a byte order mark"},
                {"\xff", "body: not JSON"},
                {"[]", "body: must be a JSON object"},
                {"null", "body: must be a JSON object"},
                {"\"x\"", "body: must be a JSON object"},
                {"{\"runtime\":\"sh\",\"runtime\":\"sh\",\"code\":\"x\"}", "body: not JSON"},
                {"{}", "runtime: missing"},
                {"{\"code\":\"x\"}", "runtime: missing"},
                {"{\"runtime\":\"sh\"}", "code: missing (or code_archive)"},
                {"{\"runtime\":7,\"code\":\"x\"}", "runtime: must be a string"},
                {"{\"runtime\":\"\",\"code\":\"x\"}", "runtime: must have 1 to 31 bytes"},
                {"{\"runtime\":\"a\\u0000b\",\"code\":\"x\"}",
                 "runtime: must not contain a NUL character"},
                {"{\"runtime\":\"12345678901234567890123456789012\",\"code\":\"x\"}",
                 "runtime: must have 1 to 31 bytes"},
                {"{\"runtime\":\"sh\",\"code\":[]}", "code: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"code_archive\":\"" GZIP "\"}",
                 "code and code_archive are mutually exclusive"},
                {"{\"runtime\":\"sh\",\"code_archive\":3}", "code_archive: must be a string"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"***\"}", "code_archive: not base64"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"H4sI\\nAAAA\"}",
                 "code_archive: not base64"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"H4sIA\"}",
                 "code_archive: not base64, or cut short"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"H4==sI\"}",
                 "code_archive: not base64, or cut short"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"aGVsbG8gd29ybGQhISEhISEhISEhIQ==\"}",
                 "code_archive: not a gzip file"},
        };

        check_wrong(cases, sizeof(cases) / sizeof(cases[0]));
}

static void errors_in_other_members_name_them(void **state)
{
        static const struct wrong cases[] = {
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":\"a b\"}",
                 "args: must be an array of strings"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[\"a\",1]}",
                 "args[1]: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[\"a\\u0000\"]}",
                 "args[0]: must not contain a NUL character"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"env\":7}", "env: must be an object of NAME"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"env\":[\"A\"]}",
                 "env: \"A\" is not NAME=VALUE"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[{\"base64\":\"YQBi\"}]}",
                 "args[0]: must not contain a NUL character"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[{\"base64\":7}]}",
                 "args[0]: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[{\"base64\":\"\",\"x\":1}]}",
                 "args[0]: must be a string or"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"env\":{\"A\":1}}",
                 "env.A: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"env\":{\"A=B\":\"c\"}}",
                 "env.A=B: not a valid name for a variable"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"env\":{\"\":\"c\"}}",
                 "env.: not a valid name for a variable"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input\":[1,}", "input: not JSON: "},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input\":[1]\n,,}",
                 "body: not JSON (line 2, column 2)"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input\":1,\"input\":2}",
                 "body: not JSON (line 1"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input\":{},\"input_base64\":\"/w==\"}",
                 "input and input_base64 are mutually exclusive"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input_base64\":1}",
                 "input_base64: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input_base64\":\"/w=A\"}",
                 "input_base64: not base64, or cut short"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"input\":\"x\",\"input_base64\":\"/w==\"}",
                 "input and input_base64 are mutually exclusive"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"network\":\"bridge\"}",
                 "network: \"bridge\" is not one of none, nat"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"entrypoint\":\"main.sh\"}",
                 "entrypoint: needs code_archive instead of code"},
                {"{\"runtime\":\"sh\",\"code_archive\":\"" GZIP "\",\"entrypoint\":\"../x\"}",
                 "entrypoint: \"../x\" is not a path within the archive"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"isolation\":true}",
                 "isolation: must be a string"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"isolation\":\"more-than-15-bytes\"}",
                 "isolation: must have 1 to 15 bytes"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":[]}",
                 "resources: must be a JSON object"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"cpus\":0}}",
                 "resources.cpus: 0 is not between 1 and 32"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"cpus\":1.5}}",
                 "resources.cpus: must be a whole number"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"mem_mb\":-4}}",
                 "resources.mem_mb: -4 is not between 64 and 65536"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"mem_mb\":4294967424}}",
                 "resources.mem_mb: 4294967424 is not between 64 and 65536"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"timeout_s\":\"5\"}}",
                 "resources.timeout_s: must be a whole number"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"resources\":{\"disk\":1}}",
                 "resources.disk: unknown field"},
                {"{\"runtime\":\"sh\",\"code\":\"x\",\"cmd\":\"y\"}", "cmd: unknown field"},
        };

        check_wrong(cases, sizeof(cases) / sizeof(cases[0]));
}

static struct api_submission parse_good(const char *body)
{
        struct api_submission submission;
        struct err err = ERR_INIT;

        if (api_submission_parse(body, strlen(body), &submission, &err) < 0)
                fail_msg("%s: %s", body, err.msg);
        return submission;
}

static void bytes_that_are_not_utf8_are_accepted(void **state)
{
        struct api_submission submission =
                parse_good("{\"runtime\":\"sh\",\"code\":{\"base64\":\"/wBh\"},"
                           "\"args\":[\"a\",{\"base64\":\"Y2Fm6Q==\"},\"\",{\"base64\":\"\"}],"
                           "\"env\":{\"A\":{\"base64\":\"/w==\"},\"B\":\"\"}}");

        assert_int_equal(submission.spec.code_size, 3);
        assert_memory_equal(submission.spec.code, "\xff\0a", 3);
        assert_int_equal(submission.spec.n_args, 4);
        assert_string_equal(submission.spec.args[1], "caf\xe9");
        assert_string_equal(submission.spec.args[2], "");
        assert_string_equal(submission.spec.args[3], "");
        assert_string_equal(submission.spec.env[0], "A=\xff");
        assert_string_equal(submission.spec.env[1], "B=");
        api_submission_release(&submission);

        submission = parse_good("{\"runtime\":\"sh\",\"code\":\"x\","
                                "\"env\":[\"A=b=c\",{\"base64\":\"6T1i\"}]}");
        assert_string_equal(submission.spec.env[0], "A=b=c");
        assert_string_equal(submission.spec.env[1], "\xe9=b");
        api_submission_release(&submission);
}

static void files_are_accepted_in_each_form(void **state)
{
        struct api_submission submission = parse_good(
                "{\"runtime\":\"sh\",\"code\":\"x\",\"fetch\":[\"out/*\",{\"base64\":\"6Q==\"}],"
                "\"files\":{\"./a//b\":\"text\",\"c\":{\"base64\":\"/wA=\"},"
                "\"d\":{\"text\":\"x\",\"mode\":\"0755\"},\"e\":{\"base64\":\"\",\"mode\":\"600\"}}"
                "}");

        assert_int_equal(submission.spec.n_files, 4);
        assert_string_equal(submission.spec.files[0].name, "a/b");
        assert_int_equal(submission.spec.files[0].mode, 0644);
        assert_memory_equal(submission.spec.files[0].bytes, "text", 4);
        assert_int_equal(submission.spec.files[1].size, 2);
        assert_memory_equal(submission.spec.files[1].bytes, "\xff", 2);
        assert_int_equal(submission.spec.files[2].mode, 0755);
        assert_int_equal(submission.spec.files[3].mode, 0600);
        assert_int_equal(submission.spec.files[3].size, 0);
        assert_int_equal(submission.spec.files_size, 7);
        assert_int_equal(submission.spec.n_fetch, 2);
        assert_string_equal(submission.spec.fetch[1], "\xe9");
        api_submission_release(&submission);

        submission =
                parse_good("{\"runtime\":\"sh\",\"code\":\"x\",\"files\":[{\"path\":{\"base64\":"
                           "\"6Q==\"},\"content\":\"y\",\"mode\":\"0700\",\"size\":1}]}");
        assert_string_equal(submission.spec.files[0].name, "\xe9");
        assert_int_equal(submission.spec.files[0].mode, 0700);
        api_submission_release(&submission);
}

#define FILES(text) "{\"runtime\":\"sh\",\"code\":\"x\",\"files\":" text "}"
#define FETCH(text) "{\"runtime\":\"sh\",\"code\":\"x\",\"fetch\":" text "}"

static void errors_in_files_name_the_file(void **state)
{
        static const struct wrong cases[] = {
                {FILES("\"a\""), "files: must be an object"},
                {FILES("{\"a\":7}"), "files.a: must be a string"},
                {FILES("{\"../a\":\"\"}"), "files: \"../a\" is not the name of a file below"},
                {FILES("{\"/a\":\"\"}"), "files: \"/a\" is not the name of a file below"},
                {FILES("{\"\":\"\"}"), "files: \"\" is not the name of a file below"},
                {FILES("{\".\":\"\"}"), "files: \".\" is not the name of a file below"},
                {FILES("{\"a\":\"\",\"./a\":\"\"}"), "files: \"a\" is given twice"},
                {FILES("{\"a\":{\"base64\":\"*\"}}"), "files.a: not base64"},
                {FILES("{\"a\":{\"base64\":\"\",\"text\":\"\"}}"), "files.a: must be a string, or"},
                {FILES("{\"a\":{\"mode\":\"0644\"}}"), "files.a: must be a string, or"},
                {FILES("{\"a\":{\"text\":\"\",\"mode\":420}}"),
                 "files.a.mode: must be permissions"},
                {FILES("{\"a\":{\"text\":\"\",\"mode\":\"4755\"}}"), "files.a.mode: must be"},
                {FILES("{\"a\":{\"text\":7}}"), "files.a.text: must be a string"},
                {FILES("[7]"), "files[0]: must be an object"},
                {FILES("[{\"content\":\"\"}]"), "files[0].path: must be a string"},
                {FILES("[{\"path\":\"a\"}]"), "files[0].content: must be a string"},
                {FILES("[{\"path\":{\"base64\":\"YQBi\"},\"content\":\"\"}]"),
                 "files[0].path: must not contain a NUL"},
                {FETCH("\"a\""), "fetch: must be an array"},
                {FETCH("[\"\"]"), "fetch: \"\" is not a path"},
                {FETCH("[\"a/../b\"]"), "fetch: \"a/../b\" is not a path"},
                {FETCH("[\"a\\u0000\"]"), "fetch[0]: must not contain a NUL"},
                {FETCH("[7]"), "fetch[0]: must be a string"},
        };

        check_wrong(cases, sizeof(cases) / sizeof(cases[0]));
}

static void empty_strings_count_as_missing(void **state)
{
        struct api_submission submission =
                parse_good("{\"runtime\":\"sh\",\"code\":\"\",\"isolation\":\"\",\"network\":\"\","
                           "\"entrypoint\":\"\",\"code_archive\":\"\",\"input_base64\":\"\"}");

        assert_int_equal(submission.spec.code_size, 0);
        assert_non_null(submission.spec.code);
        assert_false(submission.spec.archive);
        assert_null(submission.spec.entrypoint);
        assert_string_equal(submission.isolation, "auto");
        assert_int_equal(submission.spec.network, WORKLOAD_NETWORK_NONE);
        assert_int_equal(submission.spec.stdin_fd, -1);
        api_submission_release(&submission);

        submission = parse_good("{\"runtime\":\"sh\",\"code\":\"\",\"code_archive\":\"" GZIP
                                "\",\"entrypoint\":\"a.sh\"}");
        assert_true(submission.spec.archive);
        assert_string_equal(submission.spec.entrypoint, "a.sh");
        api_submission_release(&submission);
}

/* A value that is not a string arrives as its JSON text, as it was written, without white space. */
static void input_may_be_any_json(void **state)
{
        static const struct {
                const char *input, *want;
        } cases[] = {
                {"\"text\\n\"", "text\n"},
                {"{ \"a\" : [ 1 , 0.1 ,\n \"x y\" ] }", "{\"a\":[1,0.1,\"x y\"]}"},
                {"[]", "[]"},
                {"12345678901234567890123", "12345678901234567890123"},
                {"-1.50", "-1.50"},
                {"true", "true"},
                {"{\"input\": \"\\u00e9 \\\" } ]\"}", "{\"input\":\"\\u00e9 \\\" } ]\"}"},
                {"{\"base64\": \"/w==\"}", "{\"base64\":\"/w==\"}"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char body[256], got[256];
                struct api_submission submission;
                ssize_t n;

                snprintf(body, sizeof(body), "{\"runtime\":\"sh\", \"input\" : %s ,\"code\":\"x\"}",
                         cases[i].input);
                submission = parse_good(body);
                n = read(submission.spec.stdin_fd, got, sizeof(got) - 1);
                assert_true(n >= 0);
                got[n] = '\0';
                assert_string_equal(got, cases[i].want);
                api_submission_release(&submission);
        }
        /* The name of the member may have escapes. */
        {
                struct api_submission submission = parse_good(
                        "{\"runtime\":\"sh\",\"code\":\"x\",\"\\u0069nput\":{\"a\": 1}}");
                char got[16] = "";

                assert_int_equal(read(submission.spec.stdin_fd, got, sizeof(got)), 7);
                assert_string_equal(got, "{\"a\":1}");
                api_submission_release(&submission);
        }
}

/* Deep nesting is an error and does not exhaust the stack. */
static void depth_is_bounded(void **state)
{
        struct api_submission submission;
        struct err err = ERR_INIT;
        size_t n = 10 * 1000;
        char *body = malloc(n);

        memset(body, '[', n);
        assert_int_equal(api_submission_parse(body, n, &submission, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "body: not JSON"));
        free(body);
}

/* Parsing a megabyte of small values takes many times its size; a megabyte of text does not. */
static void the_number_of_values_is_bounded_outside_of_strings(void **state)
{
        static const char head[] = "{\"runtime\":\"sh\",\"code\":\"\\\"";
        struct api_submission submission;
        struct err err = ERR_INIT;
        size_t n = 1 << 20;
        char *body = malloc(n);

        for (size_t i = 0; i < n; i += 2)
                memcpy(body + i, "0,", 2);
        body[0] = '[';
        assert_int_equal(api_submission_parse(body, n, &submission, &err), -EINVAL);
        assert_string_equal(err.msg, "body: more than 16384 values");

        memset(body, ',', n);
        memcpy(body, head, sizeof(head) - 1);
        memcpy(body + n - 2, "\"}", 2);
        assert_int_equal(api_submission_parse(body, n, &submission, &err), 0);
        assert_int_equal(submission.spec.code_size, n - sizeof(head) + 1 - 2 + 1);
        api_submission_release(&submission);
        free(body);
}

static void too_many_arguments_are_refused(void **state)
{
        struct api_submission submission;
        struct err err = ERR_INIT;
        size_t n = 0;
        char *body = malloc(10000);

        n = (size_t)sprintf(body, "{\"runtime\":\"sh\",\"code\":\"x\",\"args\":[\"\"");
        for (int i = 0; i < WORKLOAD_ARGS_MAX; i++)
                n += (size_t)sprintf(body + n, ",\"\"");
        n += (size_t)sprintf(body + n, "]}");
        assert_int_equal(api_submission_parse(body, n, &submission, &err), -EINVAL);
        assert_string_equal(err.msg, "args: more than 1024");
        free(body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_submission_with_all_members_is_parsed),
                cmocka_unit_test(missing_members_have_defaults),
                cmocka_unit_test(input_may_be_bytes),
                cmocka_unit_test(archives_are_decoded),
                cmocka_unit_test(errors_in_code_name_their_member),
                cmocka_unit_test(errors_in_other_members_name_them),
                cmocka_unit_test(bytes_that_are_not_utf8_are_accepted),
                cmocka_unit_test(files_are_accepted_in_each_form),
                cmocka_unit_test(errors_in_files_name_the_file),
                cmocka_unit_test(empty_strings_count_as_missing),
                cmocka_unit_test(input_may_be_any_json),
                cmocka_unit_test(depth_is_bounded),
                cmocka_unit_test(the_number_of_values_is_bounded_outside_of_strings),
                cmocka_unit_test(too_many_arguments_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
