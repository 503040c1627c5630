/* SPDX-License-Identifier: Apache-2.0 */
#include "api/render.h"

#include "workload/streams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void times_follow_rfc_3339(void **state)
{
        char text[API_TIME_MAX];

        api_time_text(1771490103123, text);
        assert_string_equal(text, "2026-02-19T08:35:03.123Z");
        api_time_text(1, text);
        assert_string_equal(text, "1970-01-01T00:00:00.001Z");
        api_time_text(951782400000, text);
        assert_string_equal(text, "2000-02-29T00:00:00.000Z");
}

static void check(const struct workload *w, const char *want)
{
        struct buf text = BUF_INIT(10000);

        assert_int_equal(api_dump(api_render_workload(w, true), &text), 0);
        assert_string_equal(text.data, want);
        buf_release(&text);
}

static void unknown_figures_are_null(void **state)
{
        struct workload w = {
                .id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                .status = WORKLOAD_RUNNING,
                .runtime = "sh",
                .isolation = "microvm",
                .node_id = "here",
                .limits = {.cpus = 1, .mem_mb = 128, .timeout_s = 60},
                .created_ms = 1771490103123,
                /* Values that are not valid yet are not shown. */
                .outcome = {.exit_code = 3, .error = "garbage", .oom = true, .boot_ns = 5000000},
        };

        check(&w, "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"status\":\"running\","
                  "\"isolation\":\"microvm\",\"runtime\":\"sh\",\"node_id\":\"here\","
                  "\"network\":\"none\",\"cpu_limit\":1,\"mem_limit\":128,\"timeout_s\":60,"
                  "\"created_at\":\"2026-02-19T08:35:03.123Z\",\"started_at\":null,"
                  "\"finished_at\":null,\"exit_code\":null,\"signal\":null,\"error\":null,"
                  "\"duration_ms\":null,\"boot_ms\":5.0,\"vsock_ms\":null,\"cleanup_ms\":null,"
                  "\"program_ms\":null,\"user_ms\":null,\"system_ms\":null,"
                  "\"memory_peak_bytes\":null,\"timed_out\":false,\"oom\":false,"
                  "\"output_bytes\":0,\"dropped_bytes\":0,\"output\":\"\","
                  "\"stdout\":\"\",\"stderr\":\"\",\"files\":[],\"fetch\":[]}\n");
}

#define SHA "0000000000000000000000000000000000000000000000000000000000000000"

static void add_file(struct workload_fetch *f, const char *name, const char *text, unsigned mode)
{
        struct workload_file file = {
                .name = strdup(name), .bytes = strdup(text), .size = strlen(text), .mode = mode};

        assert_int_equal(workload_fetch_add(f, &file), 0);
}

/* A record of an earlier version. */
static void streams_of_old_records_are_null(void **state)
{
        struct workload w = {.id = "x", .status = WORKLOAD_COMPLETED, .output = BUF_INIT(9)};
        json_t *json;

        assert_int_equal(buf_add(&w.output, "both", 4), 0);
        json = api_render_workload(&w, true);
        assert_true(json_is_null(json_object_get(json, "stdout")));
        assert_true(json_is_null(json_object_get(json, "stderr")));
        json_decref(json);
        workload_release(&w);
}

static void a_finished_record_has_all_members(void **state)
{
        struct workload w = {
                .id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                .status = WORKLOAD_FAILED,
                .runtime = "sh",
                .isolation = "microvm",
                .node_id = "here",
                .network = WORKLOAD_NETWORK_NAT,
                .limits = {.cpus = 2, .mem_mb = 256, .timeout_s = 5},
                .output = BUF_INIT(100),
                .outcome = {.exit_code = -1,
                            .signal = 9,
                            .timed_out = true,
                            .oom = true,
                            .error = "cut \xe2\x82",
                            .boot_ns = 1690123456,
                            .vsock_ns = 250000,
                            .cleanup_ns = 7000000,
                            .wall_us = 5000100,
                            .user_us = 1,
                            .system_us = 2000,
                            .memory_peak = 4096,
                            .output_bytes = 10,
                            .dropped_bytes = 3},
                .created_ms = 1000,
                .started_ms = 2000,
                .finished_ms = 9500,
        };

        assert_int_equal(buf_add(&w.output, "\0\xff\x10", 3), 0);
        w.streams = BUF_INIT(100);
        assert_int_equal(streams_add(&w.streams, WORKLOAD_STDOUT, 2), 0);
        assert_int_equal(streams_add(&w.streams, WORKLOAD_STDERR, 1), 0);
        w.fetch = workload_fetch_new((char *[]){"*", "\xe9/*"}, 2);
        add_file(w.fetch, "\xe9", "\xff", 0600);
        add_file(w.fetch, "a", "hi", 0755);
        workload_fetch_fail(w.fetch, 1, "none");
        workload_fetch_seal(w.fetch);
        check(&w, "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"status\":\"failed\","
                  "\"isolation\":\"microvm\",\"runtime\":\"sh\",\"node_id\":\"here\","
                  "\"network\":\"nat\",\"cpu_limit\":2,\"mem_limit\":256,\"timeout_s\":5,"
                  "\"created_at\":\"1970-01-01T00:00:01.000Z\","
                  "\"started_at\":\"1970-01-01T00:00:02.000Z\","
                  "\"finished_at\":\"1970-01-01T00:00:09.500Z\",\"exit_code\":null,\"signal\":9,"
                  "\"error\":\"cut \xef\xbf\xbd\xef\xbf\xbd\",\"duration_ms\":7500,"
                  "\"boot_ms\":1690.123,\"vsock_ms\":0.25,\"cleanup_ms\":7.0,"
                  "\"program_ms\":5000.1,\"user_ms\":0.001,\"system_ms\":2.0,"
                  "\"memory_peak_bytes\":4096,\"timed_out\":true,\"oom\":true,"
                  "\"output_bytes\":10,\"dropped_bytes\":3,\"output\":\"AP8Q\","
                  "\"stdout\":{\"base64\":\"AP8=\"},\"stderr\":\"\\u0010\",\"files\":["
                  "{\"path\":\"a\",\"size\":2,\"mode\":\"0755\",\"sha256\":\"" SHA "\","
                  "\"pattern\":0,\"content\":\"hi\"},"
                  "{\"path\":{\"base64\":\"6Q==\"},\"size\":1,\"mode\":\"0600\",\"sha256\":\"" SHA
                  "\",\"pattern\":0,\"content\":{\"base64\":\"/w==\"}}],"
                  "\"fetch\":[{\"pattern\":\"*\",\"files\":2,\"error\":null},"
                  "{\"pattern\":{\"base64\":\"6S8q\"},\"files\":0,\"error\":\"none\"}]}\n");
        workload_release(&w);
}

static void lists_omit_the_output(void **state)
{
        struct workload w = {.id = "x", .status = WORKLOAD_PENDING};
        json_t *json = api_render_workload(&w, false);

        assert_null(json_object_get(json, "output"));
        json_decref(json);
}

static void a_missing_value_renders_as_enomem(void **state)
{
        struct buf small = BUF_INIT(10);

        assert_int_equal(api_dump(NULL, &small), -ENOMEM);
        assert_int_equal(api_dump(json_string("longer than ten bytes"), &small), -ENOMEM);
        buf_release(&small);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times_follow_rfc_3339),
                cmocka_unit_test(unknown_figures_are_null),
                cmocka_unit_test(a_finished_record_has_all_members),
                cmocka_unit_test(streams_of_old_records_are_null),
                cmocka_unit_test(lists_omit_the_output),
                cmocka_unit_test(a_missing_value_renders_as_enomem),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
