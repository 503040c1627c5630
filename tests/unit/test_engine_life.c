/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads that are not killed: order, bounds, records, rejections. */
#include "engine_fixture.h"

static void a_workload_runs_to_its_end(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 2, 2);
        struct heard h;

        heard_init(&h);
        assert_int_equal(submit(e, "exit 7", &h, NULL), 0);
        wait_ended(&h);
        engine_free(e);
        assert_string_equal(h.calls, "bre");
        assert_int_equal(h.n_ended, 1);
        assert_int_equal(h.status, WORKLOAD_COMPLETED);
        assert_int_equal(h.outcome.exit_code, 7);
        assert_true(h.created_ms > 0 && h.started_ms >= h.created_ms);
        assert_true(h.finished_ms >= h.started_ms);
        assert_int_equal(h.n_interrupted, 0);
}

static void output_goes_to_sink_and_record(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct heard h;

        heard_init(&h);
        assert_int_equal(submit(e, "say hello", &h, NULL), 0);
        wait_ended(&h);
        engine_free(e);
        assert_string_equal(h.calls, "broe");
        assert_string_equal(h.output, "hello");
}

static void a_record_keeps_output_up_to_its_bound(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct heard h;

        heard_init(&h);
        assert_int_equal(submit(e, "say 0123456789", &h, NULL), 0);
        wait_ended(&h);
        engine_free(e);
        assert_string_equal(h.output, "01234567");
        assert_int_equal(h.status, WORKLOAD_COMPLETED);
}

static void workloads_start_in_order_of_submission(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 8);
        struct heard last;

        heard_init(&last);
        for (int i = 0; i < 6; i++) {
                char code[] = {'g', 'a', 't', 'e', ' ', (char)('a' + i), '\0'};

                assert_int_equal(submit(e, code, i == 5 ? &last : NULL, NULL), 0);
        }
        headless_open_gate(f);
        wait_ended(&last);
        assert_int_equal(f->n_began, 6);
        assert_memory_equal(f->began, "abcdef", 6);
        assert_int_equal(f->max_running, 1);
        engine_free(e);
}

static void max_vms_workloads_run_in_parallel(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 3, 8);

        for (int i = 0; i < 8; i++)
                assert_int_equal(submit(e, "gate", NULL, NULL), 0);
        headless_wait_running(f, 3);
        headless_open_gate(f);
        headless_wait_running(f, 0);
        assert_int_equal(f->max_running, 3);
        engine_free(e);
}

static void a_full_queue_rejects_workloads(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 2);
        struct workload_spec spec = headless_spec("exit 0");
        struct heard h;
        struct err err = ERR_INIT;
        char id[ULID_LEN + 1] = "untouched";

        heard_init(&h);
        for (int i = 0; i < 3; i++)
                assert_int_equal(submit(e, "gate", i == 2 ? &h : NULL, NULL), 0);
        assert_int_equal(engine_submit(e, &spec, "auto", NULL, id, &err), -EAGAIN);
        assert_non_null(strstr(err.msg, "1 workloads run and 2 wait"));
        assert_string_equal(id, "untouched");
        assert_string_equal(spec.code, "exit 0"); /* still the caller's */
        headless_open_gate(f);
        wait_ended(&h);
        assert_int_equal(engine_submit(e, &spec, "auto", NULL, id, &err), 0);
        assert_null(spec.code);
        assert_true(ulid_is_valid(id));
        engine_free(e);
        workload_spec_release(&spec);
}

static void an_engine_without_a_queue_runs_workloads(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);

        assert_int_equal(submit(e, "gate", NULL, NULL), 0);
        assert_int_equal(submit(e, "exit 0", NULL, NULL), -EAGAIN);
        engine_free(e);
}

static void the_record_of_a_live_workload_is_available(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 1);
        struct workload w = {0};
        char running[ULID_LEN + 1], waiting[ULID_LEN + 1];
        struct heard heard;

        heard_init(&heard);
        assert_int_equal(submit(e, "gate", &heard, running), 0);
        assert_int_equal(submit(e, "gate", NULL, waiting), 0);
        wait_ready(&heard);
        assert_int_equal(engine_get(e, running, &w, NULL), 0);
        assert_int_equal(w.status, WORKLOAD_RUNNING);
        assert_true(w.outcome.boot_ns > 0); /* known since the agent is ready */
        assert_int_equal(w.outcome.vsock_ns, 0);
        assert_string_equal(w.id, running);
        assert_string_equal(w.runtime, "sh");
        assert_string_equal(w.isolation, "process");
        assert_string_equal(w.node_id, "here");
        assert_int_equal(w.limits.mem_mb, 128);
        workload_release(&w);
        assert_int_equal(engine_get(e, waiting, &w, NULL), 0);
        assert_int_equal(w.status, WORKLOAD_PENDING);
        assert_int_equal(w.started_ms, 0);
        workload_release(&w);
        assert_int_equal(engine_get(e, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &w, NULL), -ENOENT);
        engine_free(e);
}

static void invalid_requests_are_rejected(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 1);
        struct workload_spec spec = headless_spec("exit 0");
        struct err err = ERR_INIT;
        char id[ULID_LEN + 1];

        assert_int_equal(engine_submit(e, &spec, "microvm", NULL, id, &err), -EOPNOTSUPP);
        assert_string_equal(err.msg,
                            "isolation: no backend for \"microvm\"; there are: auto, process");
        snprintf(spec.runtime, sizeof(spec.runtime), "cobol");
        assert_int_equal(engine_submit(e, &spec, "auto", NULL, id, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "python, sh"));
        snprintf(spec.runtime, sizeof(spec.runtime), "sh");
        spec.limits.mem_mb = 1;
        assert_int_equal(engine_submit(e, &spec, "process", NULL, id, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "mem_mb"));
        assert_int_equal(f->n_executed, 0);
        workload_spec_release(&spec);
        engine_free(e);
}

static void a_backend_that_returns_no_status_fails_the_workload(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct heard h;

        heard_init(&h);
        f->undecided = true;
        assert_int_equal(submit(e, "exit 0", &h, NULL), 0);
        wait_ended(&h);
        engine_free(e);
        assert_int_equal(h.status, WORKLOAD_FAILED);
        assert_string_not_equal(h.outcome.error, "");
}

static void bounds_out_of_range_are_rejected(void **state)
{
        bool freed = false;
        struct engine_config config = {.n_backends = 1, .max_vms = 0};
        struct headless *f = headless_new();
        struct engine *e = NULL;
        struct err err = ERR_INIT;

        f->freed = &freed;
        config.backends[0] = &f->base;
        assert_int_equal(engine_new(&config, &e, &err), -EINVAL);
        assert_null(e);
        assert_true(freed); /* consumed although it failed */
        assert_non_null(strstr(err.msg, "max_vms"));
}

static void backends_are_listed(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct backend_capabilities caps;

        assert_int_equal(engine_backend(e, 0, &caps), 0);
        assert_string_equal(caps.name, "headless");
        assert_int_equal(engine_backend(e, 1, &caps), -ERANGE);
        engine_free(e);
        engine_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_workload_runs_to_its_end),
                cmocka_unit_test(output_goes_to_sink_and_record),
                cmocka_unit_test(a_record_keeps_output_up_to_its_bound),
                cmocka_unit_test(workloads_start_in_order_of_submission),
                cmocka_unit_test(max_vms_workloads_run_in_parallel),
                cmocka_unit_test(a_full_queue_rejects_workloads),
                cmocka_unit_test(an_engine_without_a_queue_runs_workloads),
                cmocka_unit_test(the_record_of_a_live_workload_is_available),
                cmocka_unit_test(invalid_requests_are_rejected),
                cmocka_unit_test(a_backend_that_returns_no_status_fails_the_workload),
                cmocka_unit_test(bounds_out_of_range_are_rejected),
                cmocka_unit_test(backends_are_listed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
