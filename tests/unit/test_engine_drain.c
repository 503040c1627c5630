/* SPDX-License-Identifier: Apache-2.0 */
/* Draining, metrics, and rejected requests. */
#include "engine_fixture.h"
#include "engine/metrics.h"

#include <poll.h>

static bool is_idle(struct engine *e)
{
        struct pollfd p = {.fd = engine_idle_fd(e), .events = POLLIN};

        return poll(&p, 1, 0) == 1;
}

static void wait_idle(struct engine *e)
{
        struct pollfd p = {.fd = engine_idle_fd(e), .events = POLLIN};

        while (poll(&p, 1, -1) < 0)
                ;
}

static void a_drain_lets_all_workloads_end(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 4);
        struct heard h[3];

        for (int i = 0; i < 3; i++) {
                heard_init(&h[i]);
                assert_int_equal(submit(e, i ? "exit 0" : "gate", &h[i], NULL), 0);
        }
        assert_false(engine_is_draining(e));
        engine_drain(e);
        assert_true(engine_is_draining(e));
        assert_int_equal(submit(e, "exit 0", NULL, NULL), -ESHUTDOWN);
        assert_false(is_idle(e));
        headless_open_gate(f);
        wait_idle(e);
        for (int i = 0; i < 3; i++) {
                wait_ended(&h[i]); /* immediate; orders the threads for the thread sanitizer */
                assert_int_equal(h[i].status, WORKLOAD_COMPLETED);
        }
        engine_free(e);
}

static void an_empty_engine_is_drained_immediately(void **state)
{
        struct engine *e = engine_over(headless_new(), 1, 1);

        assert_false(is_idle(e));
        engine_drain(e);
        assert_true(is_idle(e));
        engine_free(e);
}

/* No workload ends before all were stopped, so waiting for one before stopping the next
 * would hang. */
static void hold_until_all_are_told(struct headless *f, enum headless_stage stage, void *ctx)
{
        if (stage != HEADLESS_ENDING)
                return;
        pthread_mutex_lock(&f->lock);
        while (f->n_stops < 3)
                pthread_cond_wait(&f->changed, &f->lock);
        pthread_mutex_unlock(&f->lock);
}

static void stop_kills_all_workloads_before_it_waits_for_any(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 3, 2);
        struct heard h[5];

        f->hook = hold_until_all_are_told;
        for (int i = 0; i < 5; i++) {
                heard_init(&h[i]);
                assert_int_equal(submit(e, "hang", &h[i], NULL), 0);
        }
        headless_wait_running(f, 3);
        engine_stop(e);
        for (int i = 0; i < 5; i++) {
                assert_int_equal(h[i].n_ended, 1);
                assert_int_equal(h[i].n_interrupted, 1);
                assert_int_equal(h[i].status, WORKLOAD_KILLED);
        }
        engine_free(e);
}

struct measured {
        struct prom_registry *registry;
        struct headless *fake;
        struct engine *engine;
};

static void measured_open(struct measured *m, unsigned max_vms, unsigned max_queue)
{
        struct engine_config config = {
                .n_backends = 1,
                .max_vms = max_vms,
                .max_queue = max_queue,
                .max_memory_mb = 1000,
        };

        m->fake = headless_new();
        m->registry = prom_registry_new();
        config.backends[0] = &m->fake->base;
        config.registry = m->registry;
        assert_int_equal(engine_new(&config, &m->engine, NULL), 0);
}

static void measured_close(struct measured *m)
{
        engine_free(m->engine);
        prom_registry_free(m->registry);
}

/* The value of a sample, as in "name{labels} ". */
static double sample(struct measured *m, const char *name)
{
        struct prom_buf text = PROM_BUF_INIT;
        char line[128];
        const char *at;
        double v = -1;

        assert_int_equal(prom_render_text(m->registry, &text), 0);
        snprintf(line, sizeof(line), "\n%s ", name);
        at = strstr(text.data, line);
        if (at)
                v = strtod(at + strlen(line), NULL);
        prom_buf_release(&text);
        return v;
}

static void accepted_workloads_equal_current_plus_ended_ones(void **state)
{
        struct measured m;
        struct engine_counts c;
        struct heard h[4];

        measured_open(&m, 1, 8);
        for (int i = 0; i < 4; i++) {
                heard_init(&h[i]);
                submit(m.engine, i ? "exit 0" : "gate", &h[i], NULL);
        }
        headless_wait_running(m.fake, 1);
        assert_true(sample(&m, "vulcan_workloads_accepted_total") == 4);
        assert_true(sample(&m, "vulcan_workloads_current{status=\"running\"}") == 1);
        assert_true(sample(&m, "vulcan_workloads_current{status=\"pending\"}") == 3);
        assert_true(sample(&m, "vulcan_queue_depth") == 3);
        assert_true(sample(&m, "vulcan_admitted_memory_bytes") == 128 * 1048576.0);
        headless_open_gate(m.fake);
        engine_drain(m.engine);
        wait_idle(m.engine);
        assert_true(sample(&m, "vulcan_workloads_ended_total{status=\"completed\"}") == 4);
        assert_true(sample(&m, "vulcan_admitted_memory_bytes") == 0);
        assert_true(sample(&m, "vulcan_queue_wait_seconds_count") == 4);
        assert_true(sample(&m, "vulcan_workload_duration_seconds_count{runtime=\"sh\",status="
                               "\"completed\"}") == 4);
        engine_counts(m.engine, &c);
        assert_int_equal(c.accepted, 4);
        assert_int_equal(c.by_status[WORKLOAD_COMPLETED], 4);
        assert_int_equal(c.memory_limit_mb, 1000);
        measured_close(&m);
}

/* Before any workload has ended there is no average run time. */
static void retry_after_follows_the_time_limits_before_any_workload_has_ended(void **state)
{
        struct workload_spec spec = headless_spec("hang");
        struct workload w = {0};
        struct measured m;
        char id[ULID_LEN + 1];

        measured_open(&m, 2, 0);
        spec.limits.mem_mb = 100;
        spec.limits.timeout_s = 1000; /* more than the maximum */
        assert_int_equal(engine_submit(m.engine, &spec, "auto", NULL, id, NULL), 0);
        assert_int_equal(engine_retry_after_s(m.engine), ENGINE_RETRY_MAX_S);
        workload_spec_release(&spec);
        spec = headless_spec("hang");
        spec.limits.mem_mb = 100;
        spec.limits.timeout_s = 30;
        assert_int_equal(engine_submit(m.engine, &spec, "auto", NULL, id, NULL), 0);
        while (engine_get(m.engine, id, &w, NULL) == 0 && w.status == WORKLOAD_PENDING) {
                workload_release(&w);
                sched_yield();
        }
        workload_release(&w);
        assert_in_range(engine_retry_after_s(m.engine), 2, 30);
        workload_spec_release(&spec);
        measured_close(&m);
}

static void rejections_are_counted_by_reason(void **state)
{
        struct workload_spec spec = headless_spec("exit 0");
        struct err err = ERR_INIT;
        struct measured m;
        char id[ULID_LEN + 1];

        measured_open(&m, 1, 0);
        spec.limits.mem_mb = 1001;
        assert_int_equal(engine_submit(m.engine, &spec, "auto", NULL, id, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "resources.mem_mb"));
        assert_non_null(strstr(err.msg, "max_memory_mb = 1000"));
        spec.limits.mem_mb = 1000;
        assert_int_equal(engine_submit(m.engine, &spec, "vm", NULL, id, &err), -EOPNOTSUPP);
        workload_spec_release(&spec);
        assert_int_equal(submit(m.engine, "hang", NULL, NULL), 0);
        assert_int_equal(submit(m.engine, "hang", NULL, NULL), -EAGAIN);
        assert_in_range(engine_retry_after_s(m.engine), ENGINE_RETRY_MAX_S - 10,
                        ENGINE_RETRY_MAX_S);
        engine_drain(m.engine);
        assert_int_equal(submit(m.engine, "hang", NULL, NULL), -ESHUTDOWN);
        assert_true(sample(&m, "vulcan_workloads_rejected_total{reason=\"too_large\"}") == 1);
        assert_true(sample(&m, "vulcan_workloads_rejected_total{reason=\"invalid\"}") == 1);
        assert_true(sample(&m, "vulcan_workloads_rejected_total{reason=\"queue_full\"}") == 1);
        assert_true(sample(&m, "vulcan_workloads_rejected_total{reason=\"stopping\"}") == 1);
        assert_true(sample(&m, "vulcan_workloads_accepted_total") == 1);
        measured_close(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_drain_lets_all_workloads_end),
                cmocka_unit_test(an_empty_engine_is_drained_immediately),
                cmocka_unit_test(stop_kills_all_workloads_before_it_waits_for_any),
                cmocka_unit_test(accepted_workloads_equal_current_plus_ended_ones),
                cmocka_unit_test(retry_after_follows_the_time_limits_before_any_workload_has_ended),
                cmocka_unit_test(rejections_are_counted_by_reason),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
