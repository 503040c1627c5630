/* SPDX-License-Identifier: Apache-2.0 */
/* Files sent back by an agent that is not trusted. */
#include "session/fetch.h"

#include "base/buf.h"
#include "wire/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct session_fetch fetched;
static struct workload_spec spec;

static int begin(void **state)
{
        spec = WORKLOAD_SPEC_INIT;
        spec.fetch_max = 10;
        assert_int_equal(workload_spec_add_fetch(&spec, "out/*.txt", NULL), 0);
        assert_int_equal(workload_spec_add_fetch(&spec, "dir/", NULL), 0);
        assert_int_equal(workload_spec_add_fetch(&spec, "missing", NULL), 0);
        return session_fetch_begin(&fetched, &spec, NULL);
}

static int end(void **state)
{
        session_fetch_release(&fetched);
        workload_spec_release(&spec);
        return 0;
}

static int file(const char *name, uint32_t pattern, uint64_t size, const char *sha256,
                const char *error, struct err *err)
{
        struct wire_file m = {.name = name,
                              .pattern = pattern,
                              .mode = 0640,
                              .size = size,
                              .sha256 = sha256,
                              .error = error};
        struct buf b = BUF_INIT(WIRE_FILE_MAX);
        int r;

        assert_int_equal(wire_file_encode(&m, &b, NULL), 0);
        r = session_fetch_file(&fetched, b.data, b.len, err);
        buf_release(&b);
        return r;
}

static void complete_files_are_accepted(void **state)
{
        struct err err = ERR_INIT;
        struct workload_fetch *f;

        assert_int_equal(file("out/b.txt", 0, 3, ABC, NULL, &err), 0);
        assert_int_equal(session_fetch_data(&fetched, "a", 1, &err), 0);
        assert_int_equal(session_fetch_data(&fetched, "bc", 2, &err), 0);
        assert_int_equal(file("out/a.txt", 0, 0, NOTHING, NULL, &err), 0);
        assert_int_equal(file("dir/deep/x", 1, 3, ABC, NULL, &err), 0);
        assert_int_equal(session_fetch_data(&fetched, "abd", 3, &err), 0); /* another checksum */
        assert_int_equal(file(NULL, 2, 0, NULL, "no such file or directory", &err), 0);
        f = session_fetch_end(&fetched, NULL);
        assert_int_equal(f->n_files, 2);
        assert_string_equal(f->files[0].name, "out/a.txt");
        assert_string_equal(f->files[1].name, "out/b.txt");
        assert_int_equal(f->files[1].mode, 0640);
        assert_int_equal(f->files[1].size, 3);
        assert_memory_equal(f->files[1].bytes, "abc", 3);
        assert_int_equal(f->files[1].sha256[0], 0xba);
        assert_int_equal(f->notes[0].n_files, 2);
        assert_null(f->notes[0].error);
        assert_int_equal(f->notes[1].n_files, 0);
        assert_string_equal(
                f->notes[1].error,
                "dir/deep/x: changed while it was being read, or was damaged in transit");
        assert_string_equal(f->notes[2].error, "no such file or directory");
        workload_fetch_unref(f);
}

/* Otherwise a guest could write to any file of the user. */
static void a_name_must_match_its_pattern(void **state)
{
        static const char *const names[] = {
                "Makefile",   "out/x.png",    "out/.x.txt",  "../out/x.txt", "/out/x.txt",
                "out//x.txt", "out/../x.txt", "./out/x.txt", "out/x.txt/",   "out"};
        struct err err = ERR_INIT;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (file(names[i], 0, 3, ABC, NULL, &err) != -EPROTO)
                        fail_msg("%s", names[i]);
                assert_string_equal(err.msg, "FILE with a name that was not requested");
        }
}

static void sizes_and_order_are_enforced(void **state)
{
        struct err err = ERR_INIT;

        assert_int_equal(session_fetch_data(&fetched, "x", 1, &err), -EPROTO);
        assert_int_equal(file("out/a.txt", 0, 11, ABC, NULL, &err), -EPROTO);
        assert_string_equal(err.msg, "FILE with more bytes than allowed");
        assert_int_equal(file("out/a.txt", 3, 3, ABC, NULL, &err), -EPROTO);
        assert_int_equal(file("dir/a", 1, 8, ABC, NULL, &err), 0);
        assert_int_equal(file("dir/b", 1, 1, ABC, NULL, &err), -EPROTO); /* within another file */
        assert_string_equal(err.msg, "FILE out of turn");
        assert_int_equal(session_fetch_data(&fetched, "123456789", 9, &err), -EPROTO);
        assert_int_equal(session_fetch_data(&fetched, "12345678", 8, &err), 0);
        assert_int_equal(file("out/a.txt", 0, 1, ABC, NULL, &err),
                         -EPROTO); /* an earlier pattern */
        assert_int_equal(file("dir/b", 1, 3, ABC, NULL, &err), -EPROTO);
}

static void the_number_of_errors_is_bounded(void **state)
{
        struct err err = ERR_INIT;
        int n = 0;

        while (file("out/x", 0, 0, NULL, "denied", &err) == 0)
                assert_true(++n < 10000);
        assert_int_equal(n, WIRE_FILES_MAX + WIRE_FETCH_MAX);
}

/* From the current pattern on, the search is incomplete. */
static void missing_files_carry_the_reason_of_an_early_end(void **state)
{
        struct err err = ERR_INIT;
        struct workload_fetch *f;

        assert_int_equal(file("out/a.txt", 0, 3, ABC, NULL, &err), 0);
        assert_int_equal(session_fetch_data(&fetched, "abc", 3, &err), 0);
        assert_int_equal(file("dir/x", 1, 3, ABC, NULL, &err), 0);
        assert_int_equal(session_fetch_data(&fetched, "a", 1, &err), 0);
        f = session_fetch_end(&fetched, "killed");
        assert_int_equal(f->n_files, 1);
        assert_null(f->notes[0].error);
        assert_string_equal(f->notes[1].error, "dir/x: killed");
        assert_string_equal(f->notes[2].error, "killed");
        workload_fetch_unref(f);
}

static void a_pattern_without_a_response_is_an_error(void **state)
{
        struct err err = ERR_INIT;
        struct workload_fetch *f;

        assert_int_equal(file("out/a.txt", 0, 0, NOTHING, NULL, &err), 0);
        f = session_fetch_end(&fetched, NULL);
        assert_null(f->notes[0].error);
        assert_string_equal(f->notes[1].error, "the guest did not search for it");
        workload_fetch_unref(f);
}

static void files_without_a_request_are_rejected(void **state)
{
        struct workload_spec none = WORKLOAD_SPEC_INIT;
        struct session_fetch f;
        struct err err = ERR_INIT;

        assert_int_equal(session_fetch_begin(&f, &none, &err), 0);
        assert_int_equal(session_fetch_file(&f, "{}", 2, &err), -EPROTO);
        assert_int_equal(session_fetch_data(&f, "x", 1, &err), -EPROTO);
        assert_null(session_fetch_end(&f, NULL));
        session_fetch_release(&f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        const struct CMUnitTest tests[] = {
                T(complete_files_are_accepted),
                T(a_name_must_match_its_pattern),
                T(sizes_and_order_are_enforced),
                T(the_number_of_errors_is_bounded),
                T(missing_files_carry_the_reason_of_an_early_end),
                T(a_pattern_without_a_response_is_an_error),
                T(files_without_a_request_are_rejected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
