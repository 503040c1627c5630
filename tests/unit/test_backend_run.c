/* SPDX-License-Identifier: Apache-2.0 */
/* The handle of a run: kills before, during and after an execution. */
#include "backend/run.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void count(void *execution)
{
        ++*(int *)execution;
}

static void a_kill_before_the_start_is_seen_by_it(void **state)
{
        struct backend_run run;
        int stops = 0;

        backend_run_init(&run);
        assert_false(backend_run_is_killed(&run));
        assert_true(backend_run_kill(&run));
        assert_false(backend_run_kill(&run)); /* only the first caller killed it */
        backend_run_stop(&run);
        assert_int_equal(backend_run_await(&run), -ENOENT);
        backend_run_enter(&run, count, &stops);
        assert_true(backend_run_is_killed(&run));
        backend_run_leave(&run);
        assert_int_equal(stops, 0);
        backend_run_release(&run);
}

static void an_execution_is_stopped_once(void **state)
{
        struct backend_run run;
        int stops = 0;

        backend_run_init(&run);
        backend_run_enter(&run, count, &stops);
        backend_run_kill(&run);
        assert_int_equal(stops, 0); /* marked only */
        backend_run_stop(&run);
        backend_run_stop(&run);
        assert_int_equal(stops, 1);
        backend_run_leave(&run);
        backend_run_stop(&run);
        assert_int_equal(stops, 1);
        assert_int_equal(backend_run_await(&run), -ENOENT);
        backend_run_release(&run);
}

/* An execution that ends when it is stopped, as seen by a thread that cleans up. */
struct execution {
        struct backend_run run;
        sem_t stopped;
        int gone; /* written before leave, read after await: ordered by the handle's lock */
};

static void post(void *execution)
{
        sem_post(&((struct execution *)execution)->stopped);
}

static void *execute(void *arg)
{
        struct execution *x = arg;

        backend_run_enter(&x->run, post, x);
        if (!backend_run_is_killed(&x->run))
                sem_wait(&x->stopped);
        x->gone = 1;
        backend_run_leave(&x->run);
        return NULL;
}

/* Start and stop race. Whichever comes first, the execution ends; a lost kill would hang here. */
static void no_kill_is_lost(void **state)
{
        enum { ROUNDS = 2000 };

        for (int i = 0; i < ROUNDS; i++) {
                struct execution x = {0};
                pthread_t thread;

                backend_run_init(&x.run);
                sem_init(&x.stopped, 0, 0);
                assert_int_equal(pthread_create(&thread, NULL, execute, &x), 0);
                backend_run_stop(&x.run);
                if (backend_run_await(&x.run) == 0)
                        assert_int_equal(x.gone, 1);
                pthread_join(thread, NULL);
                assert_int_equal(x.gone, 1);
                sem_destroy(&x.stopped);
                backend_run_release(&x.run);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_kill_before_the_start_is_seen_by_it),
                cmocka_unit_test(an_execution_is_stopped_once),
                cmocka_unit_test(no_kill_is_lost),
        };

        return cmocka_run_group_tests_name("backend run", tests, NULL, NULL);
}
