/* SPDX-License-Identifier: Apache-2.0 */
/* What `vulcan run --server` sends to a daemon and reads from it. */
#include "cli/cli.h"
#include "cli/log_stream.h"
#include "cli/run_record.h"
#include "cli/run_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* ---- requests ---- */

static void a_request_has_the_fields_of_the_workload(void **state)
{
        char code[] = "print(1)";
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct buf input = BUF_INIT(100);
        struct err err = ERR_INIT;
        json_t *order = NULL, *want;

        strcpy(spec.runtime, "python");
        spec.code = code;
        spec.code_size = strlen(code);
        spec.network = WORKLOAD_NETWORK_NAT;
        spec.limits.mem_mb = 256;
        assert_int_equal(workload_spec_add_arg(&spec, "a b", &err), 0);
        assert_int_equal(workload_spec_add_env(&spec, "NAME=x=y", &err), 0);
        assert_int_equal(buf_add(&input, "in\0put", 6), 0);
        assert_int_equal(run_request_encode(&spec, &input, &order, &err), 0);
        want = json_pack("{s:s, s:s, s:s%, s:s, s:[s], s:{s:s}, s:{s:i}}", "runtime", "python",
                         "code", "print(1)", "input", "in\0put", (size_t)6, "network", "nat",
                         "args", "a b", "env", "NAME", "x=y", "resources", "mem_mb", 256);
        assert_true(json_equal(order, want));
        json_decref(order);
        json_decref(want);
        buf_release(&input);
        spec.code = NULL;
        workload_spec_release(&spec);
}

static void an_archive_is_sent_as_base64(void **state)
{
        char code[] = "\x1f\x8b\xff";
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct err err = ERR_INIT;
        json_t *order = NULL;

        spec.code = code;
        spec.code_size = 3;
        spec.archive = true;
        assert_int_equal(run_request_encode(&spec, NULL, &order, &err), 0);
        assert_string_equal(json_string_value(json_object_get(order, "code_archive")), "H4v/");
        assert_null(json_object_get(order, "code"));
        json_decref(order);
}

/* Bytes that are not text are sent as base64 and decoded to the same bytes. */
static void bytes_that_are_not_text_are_sent_unchanged(void **state)
{
        char code[] = "\xff\0", pair[] = "A=\xff", plain[] = "B=c", arg[] = "caf\xe9",
             entry[] = "\xe9";
        char *pairs[] = {pair, plain}, *args[] = {arg};
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct err err = ERR_INIT;
        json_t *order = NULL, *want;

        spec.code = code;
        spec.code_size = 2;
        spec.env = pairs;
        spec.n_env = 2;
        spec.args = args;
        spec.n_args = 1;
        spec.entrypoint = entry;
        assert_int_equal(run_request_encode(&spec, NULL, &order, &err), 0);
        want = json_pack("{s:s, s:{s:s}, s:{s:s}, s:[{s:s}], s:{s:{s:s}, s:s}, s:s, s:{}}",
                         "runtime", "", "code", "base64", "/wA=", "entrypoint", "base64",
                         "6Q==", "args", "base64", "Y2Fm6Q==", "env", "A", "base64", "/w==", "B",
                         "c", "network", "none", "resources");
        assert_non_null(want);
        assert_true(json_equal(order, want));
        json_decref(order);
        json_decref(want);

        /* JSON names must be text, so one variable with another name turns the object into a list. */
        pair[0] = '\xe9';
        assert_int_equal(run_request_encode(&spec, NULL, &order, &err), 0);
        want = json_pack("[{s:s}, s]", "base64", "6T3/", "B=c");
        assert_true(json_equal(json_object_get(order, "env"), want));
        json_decref(order);
        json_decref(want);
}

static void input_may_be_any_bytes(void **state)
{
        char code[] = "x";
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct buf input = BUF_INIT(RUN_REQUEST_INPUT_MAX);
        struct err err = ERR_INIT;
        json_t *order = NULL;

        spec.code = code;
        spec.code_size = 1;
        assert_int_equal(buf_add(&input, "\xff\0\n", 3), 0);
        assert_int_equal(run_request_encode(&spec, &input, &order, &err), 0);
        assert_null(json_object_get(order, "input"));
        assert_string_equal(json_string_value(json_object_get(order, "input_base64")), "/wAK");
        json_decref(order);
        order = NULL;
        while (input.len <= RUN_REQUEST_BINARY_MAX)
                assert_int_equal(buf_add(&input, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 0);
        assert_int_equal(run_request_encode(&spec, &input, &order, &err), -EFBIG);
        assert_non_null(strstr(err.msg, "11 MiB"));
        buf_release(&input);
}

/* ---- records ---- */

static int end_of(const char *json, struct run_end *ret)
{
        json_t *record = json_loads(json, 0, NULL);
        int r;

        assert_non_null(record);
        *ret = (struct run_end){0};
        r = run_record_end(record, ret);
        json_decref(record);
        return r;
}

static void check_code(const char *json, int want)
{
        struct run_end end;
        struct err say = ERR_INIT;

        assert_int_equal(end_of(json, &end), 0);
        assert_int_equal(run_exit_code(&end, &say), want);
}

static void a_record_gives_the_exit_code(void **state)
{
        check_code("{\"status\":\"completed\",\"exit_code\":3,\"signal\":null}", 3);
        check_code("{\"status\":\"completed\",\"exit_code\":null,\"signal\":9}", 137);
        check_code("{\"status\":\"failed\",\"timed_out\":true,\"timeout_s\":5}", 124);
        check_code("{\"status\":\"failed\",\"oom\":true}", 137);
        check_code("{\"status\":\"failed\",\"error\":\"boot\"}", 125);
        check_code("{\"status\":\"killed\"}", 137);
}

static void a_malformed_record_is_rejected(void **state)
{
        struct run_end end;

        assert_int_equal(end_of("{\"status\":\"running\"}", &end), -EAGAIN);
        assert_int_equal(end_of("{\"status\":\"odd\"}", &end), -EPROTO);
        assert_int_equal(end_of("[]", &end), -EPROTO);
        assert_int_equal(end_of("{\"status\":\"completed\"}", &end), -EPROTO);
        assert_int_equal(end_of("{\"status\":\"completed\",\"exit_code\":4711}", &end), -EPROTO);
        assert_int_equal(end_of("{\"status\":\"completed\",\"signal\":4711}", &end), -EPROTO);
}

/* ---- lines ---- */

static void check_line(const char *json, enum workload_stream stream, const char *want, size_t n)
{
        struct buf scratch = BUF_INIT(1000);
        struct log_line line = {0};

        assert_int_equal(log_line_parse(json, strlen(json), &scratch, &line), 0);
        assert_int_equal(line.stream, stream);
        assert_int_equal(line.size, n);
        assert_memory_equal(line.bytes, want, n);
        buf_release(&scratch);
}

static void a_line_event_gives_its_bytes(void **state)
{
        struct buf scratch = BUF_INIT(1000);
        struct log_line line = {0};

        check_line("{\"seq\":1,\"stream\":\"stdout\",\"line\":\"x\"}", WORKLOAD_STDOUT, "x\n", 2);
        check_line("{\"seq\":1,\"stream\":\"stderr\",\"line\":\"\"}", WORKLOAD_STDERR, "\n", 1);
        check_line("{\"seq\":1,\"stream\":\"stdout\",\"line\":\"x\",\"partial\":true}",
                   WORKLOAD_STDOUT, "x", 1);
        check_line("{\"seq\":1,\"stream\":\"stdout\",\"line\":\"?\",\"base64\":\"/wA=\"}",
                   WORKLOAD_STDOUT, "\xff\0\n", 3);
        check_line("{\"seq\":1,\"stream\":\"stdout\",\"line\":\"a\\u0000b\"}", WORKLOAD_STDOUT,
                   "a\0b\n", 4);
        for (const char *const *bad =
                     (const char *const[]){"", "[]", "{\"seq\":1,\"stream\":\"stdout\"}",
                                           "{\"seq\":0,\"stream\":\"stdout\",\"line\":\"\"}",
                                           "{\"seq\":1,\"stream\":\"x\",\"line\":\"\"}",
                                           "{\"seq\":1,\"stream\":\"stdout\",\"line\":\"\","
                                           "\"base64\":\"*\"}",
                                           NULL};
             *bad; bad++)
                if (log_line_parse(*bad, strlen(*bad), &scratch, &line) != -EPROTO)
                        fail_msg("taken: %s", *bad);
        buf_release(&scratch);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_request_has_the_fields_of_the_workload),
                cmocka_unit_test(an_archive_is_sent_as_base64),
                cmocka_unit_test(bytes_that_are_not_text_are_sent_unchanged),
                cmocka_unit_test(input_may_be_any_bytes),
                cmocka_unit_test(a_record_gives_the_exit_code),
                cmocka_unit_test(a_malformed_record_is_rejected),
                cmocka_unit_test(a_line_event_gives_its_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
