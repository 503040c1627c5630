/* SPDX-License-Identifier: Apache-2.0 */
/* Workers share jobs by lane. */
#include "http/lanes.h"

#include <stdatomic.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WORKERS = 4, BOUND = 2, JOBS = 64 };

/* Jobs of lane 1 wait for `open`. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n_waiting, n_done;
        bool open;
} stage = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void wait_open(struct http_job *job)
{
        pthread_mutex_lock(&stage.lock);
        stage.n_waiting++;
        pthread_cond_broadcast(&stage.changed);
        while (!stage.open)
                pthread_cond_wait(&stage.changed, &stage.lock);
        stage.n_waiting--;
        stage.n_done++;
        pthread_cond_broadcast(&stage.changed);
        pthread_mutex_unlock(&stage.lock);
}

static void finish(struct http_job *job)
{
        pthread_mutex_lock(&stage.lock);
        stage.n_done++;
        pthread_cond_broadcast(&stage.changed);
        pthread_mutex_unlock(&stage.lock);
}

static void wait_until(const unsigned *count, unsigned n)
{
        pthread_mutex_lock(&stage.lock);
        while (*count < n)
                pthread_cond_wait(&stage.changed, &stage.lock);
        pthread_mutex_unlock(&stage.lock);
}

static void set_open(bool open)
{
        pthread_mutex_lock(&stage.lock);
        stage.open = open;
        pthread_cond_broadcast(&stage.changed);
        pthread_mutex_unlock(&stage.lock);
}

static void start(struct http_lanes *l)
{
        struct err err = ERR_INIT;

        stage.n_done = 0;
        http_lanes_init(l, (unsigned[HTTP_LANES]){[1] = BOUND});
        assert_int_equal(http_lanes_start(l, WORKERS, &err), 0);
}

static void a_lane_at_its_bound_leaves_workers_to_others(void **state)
{
        struct http_job waiting[JOBS], quick[JOBS];
        struct http_lanes l;

        start(&l);
        for (int i = 0; i < JOBS; i++) {
                waiting[i].run = wait_open;
                http_lanes_add(&l, 1, &waiting[i]);
        }
        wait_until(&stage.n_waiting, BOUND);
        for (int i = 0; i < JOBS; i++) {
                quick[i].run = finish;
                http_lanes_add(&l, 2, &quick[i]);
        }
        wait_until(&stage.n_done, JOBS);
        assert_int_equal(stage.n_waiting, BOUND);
        set_open(true);
        wait_until(&stage.n_done, 2 * JOBS);
        set_open(false);
        http_lanes_stop(&l);
}

static void queued_jobs_run_before_the_workers_end(void **state)
{
        struct http_job jobs[JOBS];
        struct http_lanes l;

        start(&l);
        for (unsigned i = 0; i < JOBS; i++) {
                jobs[i].run = finish;
                http_lanes_add(&l, i % HTTP_LANES, &jobs[i]);
        }
        http_lanes_stop(&l);
        assert_int_equal(stage.n_done, JOBS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_lane_at_its_bound_leaves_workers_to_others),
                cmocka_unit_test(queued_jobs_run_before_the_workers_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
