/* SPDX-License-Identifier: Apache-2.0 */
/* Kills at every moment of an execution: the workload is killed and counted once, nothing is left
 * behind. */
#include "backend_fixture.h"

#include "base/log.h"

#include <semaphore.h>

static int no_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        return -EPIPE;
}

static void a_kill_before_the_start_and_a_refusing_sink_end_as_killed(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nhang\n");

        /* Killed before it began: no VM is made, and it is counted. */
        task = box_task(&box, &spec);
        backend_run_kill(task.run);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_true(box_value(&box, CLEANUP) == 0);
        assert_true(box_value(&box, ENDED("killed")) == 1);

        /* The sink refuses output. */
        task = box_task(&box, &spec);
        task.sink.output = no_output;
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_non_null(strstr(out.error, "nobody reads"));
        assert_true(box_value(&box, BOOT) == 1);
        assert_true(box_value(&box, ENDED("killed")) == 2);
        assert_true(box_ended(&box) == 2);

        assert_int_equal(box.backend->ops->cleanup(box.backend, task.run), -ENOENT);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* The moments at which execute() calls its sink, in order. */
enum moment {
        BOOTING, /* the VM is about to be made */
        BOOTED,
        READY,
        RESPONDED, /* the first bytes of output have arrived */
        OUTPUT,
        OVER,       /* the conversation has ended, the VM still runs */
        TAKEN_DOWN, /* the VM is gone */
        MOMENTS
};

/* A thread that cleans up the run, started at one moment of its execution. */
struct killer {
        struct box *box;
        struct backend_run *run;
        enum moment moment;
        unsigned n_measured;
        bool started;
        pthread_t thread;
        sem_t killed;
};

static void *clean_up(void *arg)
{
        struct killer *k = arg;
        int r;

        backend_run_kill(k->run);
        sem_post(&k->killed);
        r = k->box->backend->ops->cleanup(k->box->backend, k->run);
        assert_true(r == 0 || r == -ENOENT); /* it may have left by now */
        /* When cleanup() returns, nothing is left and nothing more to clean up. */
        assert_int_equal(count_entries(k->box->vms), 0);
        assert_int_equal(k->box->backend->ops->cleanup(k->box->backend, k->run), -ENOENT);
        return NULL;
}

static void reach(struct killer *k, enum moment moment)
{
        if (moment != k->moment || k->started)
                return;
        k->started = true;
        assert_int_equal(pthread_create(&k->thread, NULL, clean_up, k), 0);
        sem_wait(&k->killed);
        backend_run_stop(k->run); /* takes effect before the execution goes on */
}

static void at_booting(void *ctx)
{
        reach(ctx, BOOTING);
}

static void at_ready(void *ctx)
{
        reach(ctx, READY);
}

static void at_measured(void *ctx, const struct workload_outcome *so_far)
{
        static const enum moment moments[] = {BOOTED, RESPONDED, OVER, TAKEN_DOWN};
        struct killer *k = ctx;

        if (k->n_measured < sizeof(moments) / sizeof(moments[0]))
                reach(k, moments[k->n_measured++]);
}

static int at_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        reach(ctx, OUTPUT);
        return 0;
}

static void a_kill_at_any_moment_takes_effect_once(void **state)
{
        for (int moment = 0; moment < MOMENTS; moment++) {
                struct workload_outcome out;
                struct workload_spec spec;
                struct backend_task task;
                struct killer k;
                struct box box;

                box_open(&box, NULL, 0);
                spec = box_spec(&box, moment < OVER ? "print hello\nhang\n" : "print hello\n");
                task = box_task(&box, &spec);
                k = (struct killer){.box = &box, .run = task.run, .moment = (enum moment)moment};
                sem_init(&k.killed, 0, 0);
                task.sink = (struct backend_sink){.booting = at_booting,
                                                  .ready = at_ready,
                                                  .measured = at_measured,
                                                  .output = at_output,
                                                  .ctx = &k};
                box.backend->ops->execute(box.backend, &task, &out);
                assert_true(k.started);
                pthread_join(k.thread, NULL);
                sem_destroy(&k.killed);
                if (out.status != WORKLOAD_KILLED)
                        fail_msg("moment %d: %s", moment, workload_status_name(out.status));
                assert_true(box_value(&box, ENDED("killed")) == 1);
                assert_true(box_ended(&box) == 1);
                assert_true(box_value(&box, BOOT) == (moment > BOOTING));
                workload_spec_release(&spec);
                box_check_clean(&box);
                box_close(&box);
        }
}

/* One execution and one cleanup, started at the same moment. */
struct race {
        struct box *box;
        struct backend_task task;
        struct workload_outcome out;
        pthread_barrier_t start;
};

static void *execute(void *arg)
{
        struct race *race = arg;

        pthread_barrier_wait(&race->start);
        race->box->backend->ops->execute(race->box->backend, &race->task, &race->out);
        return NULL;
}

/* The kill comes before the VM is made, meanwhile, or during its boot. Every third guest crashes by
 * itself, which may come first and count as a failure. */
static void a_kill_during_the_boot_takes_effect(void **state)
{
        enum { ROUNDS = 40, YIELDS = 8 };
        struct workload_spec spec;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nhang\n");
        for (int i = 0; i < ROUNDS; i++) {
                struct race race = {.box = &box};
                pthread_t thread;
                int r;

                if (i % 3 == 0)
                        setenv("FAKE_FC_FAIL", "crash-before-hello", 1);
                else
                        unsetenv("FAKE_FC_FAIL");
                race.task = box_task(&box, &spec);
                pthread_barrier_init(&race.start, NULL, 2);
                assert_int_equal(pthread_create(&thread, NULL, execute, &race), 0);
                pthread_barrier_wait(&race.start);
                for (int k = 0; k < i * YIELDS; k++)
                        sched_yield();
                r = box.backend->ops->cleanup(box.backend, race.task.run);
                assert_true(r == 0 || r == -ENOENT);
                pthread_join(thread, NULL);
                pthread_barrier_destroy(&race.start);
                if (i % 3)
                        assert_int_equal(race.out.status, WORKLOAD_KILLED);
                assert_true(box_ended(&box) == i + 1);
                box_check_clean(&box);
        }
        assert_true(box_value(&box, ENDED("completed")) == 0);
        workload_spec_release(&spec);
        box_close(&box);
}

static int kill_on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        backend_run_kill(ctx);
        return 0;
}

/* The run is marked as killed but not stopped yet when the program ends by itself. */
static void a_kill_wins_until_the_workload_is_gone(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nexit 3\n");
        task = box_task(&box, &spec);
        task.sink.output = kill_on_output;
        task.sink.ctx = task.run;
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_string_equal(out.error, "killed while it was taken down");
        assert_int_equal(out.exit_code, 3); /* the result is kept */
        assert_true(box_value(&box, ENDED("killed")) == 1);
        assert_true(box_ended(&box) == 1);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_kill_before_the_start_and_a_refusing_sink_end_as_killed),
                cmocka_unit_test(a_kill_at_any_moment_takes_effect_once),
                cmocka_unit_test(a_kill_during_the_boot_takes_effect),
                cmocka_unit_test(a_kill_wins_until_the_workload_is_gone),
        };

        log_set_level(LOG_LEVEL_ERROR);
        return cmocka_run_group_tests_name("backend kill", tests, NULL, NULL);
}
