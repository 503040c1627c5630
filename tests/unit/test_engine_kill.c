/* SPDX-License-Identifier: Apache-2.0 */
/* Kills at every stage of a workload, and stopping an engine while workloads run. */
#include "engine_fixture.h"

static void a_waiting_workload_is_killed_on_the_calling_thread(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 2);
        struct heard h, last;
        char id[ULID_LEN + 1];

        heard_init(&h);
        heard_init(&last);
        assert_int_equal(submit(e, "gate a", NULL, NULL), 0);
        assert_int_equal(submit(e, "gate b", &h, id), 0);
        assert_int_equal(submit(e, "gate c", &last, NULL), 0);
        assert_int_equal(engine_kill(e, id, NULL), 0);
        assert_int_equal(h.n_ended, 1); /* on this thread */
        assert_string_equal(h.calls, "e");
        assert_int_equal(h.status, WORKLOAD_KILLED);
        assert_int_equal(h.started_ms, 0);
        assert_string_equal(h.outcome.error, "killed before it began");
        assert_int_equal(engine_kill(e, id, NULL), -ENOENT);  /* no store: forgotten */
        assert_int_equal(submit(e, "gate d", NULL, NULL), 0); /* its slot is free */
        headless_open_gate(f);
        wait_ended(&last);
        engine_stop(e);
        assert_memory_equal(f->began, "ac", 2); /* b never ran */
        assert_int_equal(f->n_executed, 4);     /* but was counted */
        engine_free(e);
}

static void a_running_workload_is_killed(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 2, 0);
        struct heard h;
        char id[ULID_LEN + 1];

        heard_init(&h);
        assert_int_equal(submit(e, "hang", &h, id), 0);
        headless_wait_running(f, 1);
        assert_int_equal(engine_kill(e, id, NULL), 0);
        wait_ended(&h);
        assert_int_equal(h.status, WORKLOAD_KILLED);
        assert_true(h.started_ms > 0);
        assert_int_equal(h.n_interrupted, 1);
        engine_free(e);
        assert_int_equal(h.n_ended, 1);
}

static void many_workloads_are_killed_before_any_is_waited_for(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 2);
        struct heard runs, waits;
        struct job *told_runs, *told_waits;
        char id[2][ULID_LEN + 1];

        heard_init(&runs);
        heard_init(&waits);
        assert_int_equal(submit(e, "hang", &runs, id[0]), 0);
        headless_wait_running(f, 1);
        assert_int_equal(submit(e, "hang", &waits, id[1]), 0);
        told_waits = engine_kill_start(e, id[1]);
        assert_non_null(told_waits);
        told_runs = engine_kill_start(e, id[0]);
        assert_non_null(told_runs);
        wait_ended(&runs);
        wait_ended(&waits); /* it was admitted but did not begin */
        assert_int_equal(engine_kill_wait(e, id[1], told_waits, NULL), 0);
        assert_int_equal(engine_kill_wait(e, id[0], told_runs, NULL), 0);
        assert_string_equal(waits.outcome.error, "killed before it began");
        assert_int_equal(waits.started_ms, 0);
        assert_int_equal(runs.n_interrupted, 1);
        assert_int_equal(f->max_running, 1);
        engine_stop(e); /* waits until both are forgotten: there is no store */
        assert_null(engine_kill_start(e, id[0]));
        assert_int_equal(engine_kill_wait(e, id[0], NULL, NULL), -ENOENT);
        engine_free(e);
}

static void killing_an_unknown_workload_fails(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);

        assert_int_equal(engine_kill(e, "01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), -ENOENT);
        assert_int_equal(f->n_cleanups, 0);
        engine_free(e);
}

/* A kill that arrives exactly at one stage of execute(). */
struct staged {
        struct engine *engine;
        enum headless_stage stage;
        char id[ULID_LEN + 1];
        pthread_t killer;
        int killed;
        bool done;
};

static void *kill_it(void *ctx)
{
        struct staged *s = ctx;

        s->killed = engine_kill(s->engine, s->id, NULL);
        return NULL;
}

/* On the thread of execute(): starts the killer and waits until it has called cleanup(). */
static void kill_at_stage(struct headless *f, enum headless_stage stage, void *ctx)
{
        struct staged *s = ctx;

        if (stage != s->stage || s->done)
                return;
        s->done = true;
        assert_int_equal(pthread_create(&s->killer, NULL, kill_it, s), 0);
        headless_wait_cleanups(f, 1);
}

static void a_kill_succeeds_at_each_stage_of_execute(void **state)
{
        for (int stage = 0; stage < HEADLESS_STAGES; stage++) {
                struct headless *f = headless_new();
                struct engine *e = engine_over(f, 1, 1);
                struct staged s = {.engine = e, .stage = (enum headless_stage)stage};
                struct heard h;

                heard_init(&h);
                f->hook = kill_at_stage;
                f->hook_ctx = &s;
                assert_int_equal(submit(e, stage < HEADLESS_ENDING ? "hang" : "exit 3", &h, s.id),
                                 0);
                wait_ended(&h);
                pthread_join(s.killer, NULL);
                assert_int_equal(h.n_ended, 1);
                /* A kill decides the status until nothing of the workload is left. */
                if (stage < HEADLESS_LEFT) {
                        assert_int_equal(h.status, WORKLOAD_KILLED);
                        assert_int_equal(s.killed, 0);
                } else {
                        assert_int_equal(h.status, WORKLOAD_COMPLETED);
                        assert_int_equal(s.killed, -EALREADY);
                }
                assert_false(h.interrupted_after_end);
                assert_int_equal(f->n_executed, 1);
                assert_int_equal(f->n_cleanups, 1);
                f->hook = NULL;
                engine_free(e);
        }
}

static void a_kill_interrupts_a_blocked_sink(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct heard h;
        char id[ULID_LEN + 1];

        heard_init(&h);
        h.block = true;
        assert_int_equal(submit(e, "flood", &h, id), 0);
        wait_in_output(&h);
        assert_int_equal(engine_kill(e, id, NULL), 0);
        engine_free(e);
        assert_int_equal(h.n_ended, 1);
        assert_int_equal(h.status, WORKLOAD_KILLED);
        assert_int_equal(h.n_interrupted, 1);
}

static void a_workload_whose_sink_fails_ends_as_killed(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 1, 0);
        struct heard h;

        heard_init(&h);
        h.refuse = -EPIPE;
        assert_int_equal(submit(e, "flood", &h, NULL), 0);
        wait_ended(&h);
        engine_free(e);
        assert_int_equal(h.status, WORKLOAD_KILLED);
}

enum { BUSY = 12 };

static void freeing_an_engine_ends_its_workloads(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 4, BUSY);
        struct heard h[BUSY];
        bool freed = false;
        int running = 0;

        f->freed = &freed;
        for (int i = 0; i < BUSY; i++) {
                heard_init(&h[i]);
                assert_int_equal(submit(e, "hang", &h[i], NULL), 0);
        }
        headless_wait_running(f, 4);
        engine_free(e);
        assert_true(freed);
        for (int i = 0; i < BUSY; i++) {
                assert_int_equal(h[i].n_ended, 1);
                assert_int_equal(h[i].status, WORKLOAD_KILLED);
                running += h[i].started_ms > 0;
        }
        assert_int_equal(running, 4);
}

static void a_stopped_engine_rejects_workloads_and_still_answers(void **state)
{
        struct headless *f = headless_new();
        struct engine *e = engine_over(f, 2, 2);
        struct workload w = {0};
        char id[ULID_LEN + 1];

        assert_int_equal(submit(e, "hang", NULL, id), 0);
        engine_stop(e);
        engine_stop(e);
        assert_int_equal(submit(e, "exit 0", NULL, NULL), -ESHUTDOWN);
        assert_int_equal(engine_get(e, id, &w, NULL), -ENOENT);
        assert_int_equal(engine_kill(e, id, NULL), -ENOENT);
        engine_free(e);
}

/*
 * Some threads submit workloads and kill them, sometimes twice and from two threads, while others
 * only submit; the engine may be stopped in the middle. Each accepted workload is executed and
 * ended exactly once.
 */
enum { STORM_THREADS = 4, STORM_EACH = 150 };

struct storm {
        struct engine *engine;
        atomic_uint accepted, ended, by_status[WORKLOAD_STATUS_COUNT], kills;
        atomic_uint begun;
};

static void storm_ended(void *ctx, const struct workload *w)
{
        struct storm *s = ctx;

        atomic_fetch_add(&s->by_status[w->status], 1);
        atomic_fetch_add(&s->ended, 1);
}

static void *storm_kill(void *ctx)
{
        struct staged *k = ctx;

        k->killed = engine_kill(k->engine, k->id, NULL);
        return NULL;
}

static void *storm_thread(void *ctx)
{
        static const char *const codes[] = {"hang", "exit 0", "flood", "say x", "hang"};
        struct storm *s = ctx;
        unsigned self = atomic_fetch_add(&s->begun, 1);

        for (unsigned i = 0; i < STORM_EACH; i++) {
                struct workload_spec spec = headless_spec(codes[(i + self) % 5]);
                struct engine_sink sink = {.ended = storm_ended, .ctx = s};
                struct staged k = {.engine = s->engine, .killed = -ENOENT};
                bool two = i % 3 == 0;
                int r = engine_submit(s->engine, &spec, "auto", &sink, k.id, NULL);

                workload_spec_release(&spec);
                if (r < 0) {
                        assert_true(r == -EAGAIN || r == -ESHUTDOWN);
                        continue;
                }
                atomic_fetch_add(&s->accepted, 1);
                if (two)
                        two = pthread_create(&k.killer, NULL, storm_kill, &k) == 0;
                r = engine_kill(s->engine, k.id, NULL);
                assert_true(r == 0 || r == -EALREADY || r == -ENOENT);
                if (two)
                        pthread_join(k.killer, NULL);
                if (r == 0 || k.killed == 0)
                        atomic_fetch_add(&s->kills, 1);
        }
        return NULL;
}

static void run_storm(bool stop_early)
{
        struct headless *f = headless_new();
        struct storm s = {.engine = engine_over(f, 3, 3)};
        pthread_t threads[STORM_THREADS];
        unsigned ended = 0;

        for (int i = 0; i < STORM_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, storm_thread, &s), 0);
        if (stop_early) {
                headless_wait_cleanups(f, 3);
                engine_stop(s.engine);
        }
        for (int i = 0; i < STORM_THREADS; i++)
                pthread_join(threads[i], NULL);
        engine_stop(s.engine);
        for (int i = 0; i < WORKLOAD_STATUS_COUNT; i++)
                ended += s.by_status[i];
        assert_int_equal(s.ended, s.accepted);
        assert_int_equal(ended, s.accepted);
        assert_int_equal(f->n_executed, s.accepted);
        assert_int_equal(s.by_status[WORKLOAD_COMPLETED] + s.by_status[WORKLOAD_KILLED],
                         s.accepted);
        /* Each successful kill is a workload that ended as killed. */
        assert_true(s.kills <= s.by_status[WORKLOAD_KILLED]);
        if (!stop_early) /* two of five do not end by themselves */
                assert_true(s.by_status[WORKLOAD_KILLED] * 5 >= s.accepted);
        engine_free(s.engine);
}

static void concurrent_kills_end_each_workload_once(void **state)
{
        run_storm(false);
}

static void a_stop_during_concurrent_kills_ends_each_workload_once(void **state)
{
        run_storm(true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_waiting_workload_is_killed_on_the_calling_thread),
                cmocka_unit_test(a_running_workload_is_killed),
                cmocka_unit_test(many_workloads_are_killed_before_any_is_waited_for),
                cmocka_unit_test(killing_an_unknown_workload_fails),
                cmocka_unit_test(a_kill_succeeds_at_each_stage_of_execute),
                cmocka_unit_test(a_kill_interrupts_a_blocked_sink),
                cmocka_unit_test(a_workload_whose_sink_fails_ends_as_killed),
                cmocka_unit_test(freeing_an_engine_ends_its_workloads),
                cmocka_unit_test(a_stopped_engine_rejects_workloads_and_still_answers),
                cmocka_unit_test(concurrent_kills_end_each_workload_once),
                cmocka_unit_test(a_stop_during_concurrent_kills_ends_each_workload_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
