/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dispatch.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
        STACK_SIZE = 1 << 20,
        THREADS_SPARE = 16, /* beyond the VMs: for completions that are being recorded */
};

int dispatch_init(struct dispatch *d, struct jobs *jobs, const struct dispatch_config *config,
                  struct err *err)
{
        *d = (struct dispatch){
                .jobs = jobs,
                .worker = config->worker,
                .ctx = config->ctx,
                .max_threads = config->max_vms + THREADS_SPARE,
        };
        admission_init(&d->admission, config->max_vms, config->max_memory_mb, config->max_queue);
        TAILQ_INIT(&d->ready);
        TAILQ_INIT(&d->running);
        pthread_cond_init(&d->work, NULL);
        d->threads = calloc(d->max_threads, sizeof(*d->threads));
        return d->threads ? 0 : err_set(err, ENOMEM, "out of memory");
}

void dispatch_join(struct dispatch *d)
{
        for (unsigned i = 0; i < d->n_threads; i++)
                pthread_join(d->threads[i], NULL);
}

void dispatch_release(struct dispatch *d)
{
        pthread_cond_destroy(&d->work);
        free(d->threads);
}

void dispatch_wake(struct dispatch *d)
{
        pthread_cond_broadcast(&d->work);
}

/* ---- workers ---- */

/* Starts a worker if more jobs are ready than workers are idle. A failure matters only if there is
 * no worker at all: an existing one takes the job when it has finished its own. */
static int ensure_worker(struct dispatch *d, struct err *err)
{
        bool enough = d->n_threads && d->jobs->by_state[JOB_READY] <= d->n_idle;
        int r;

        if (enough || d->n_threads >= d->max_threads)
                return 0;
        r = thread_start(&d->threads[d->n_threads], "engine-worker", STACK_SIZE, d->worker, d->ctx,
                         d->n_threads ? NULL : err);
        if (r == 0)
                d->n_threads++;
        return d->n_threads ? 0 : r;
}

static void make_ready(struct dispatch *d, struct job *job)
{
        jobs_move(d->jobs, job, JOB_READY);
        TAILQ_INSERT_TAIL(&d->ready, job, at);
        ensure_worker(d, NULL); /* dispatch_reserve() has made sure of one */
        pthread_cond_signal(&d->work);
}

/* Admits queued jobs as long as they fit. During shutdown engine_stop() ends them instead. */
static void admit(struct dispatch *d)
{
        struct admission_item *item;

        while (d->jobs->phase < JOBS_STOPPING && (item = admission_next(&d->admission)) != NULL)
                make_ready(d, JOB_OF(item));
}

static void claim(struct dispatch *d, struct job *job)
{
        jobs_move(d->jobs, job, JOB_CLAIMED);
        TAILQ_INSERT_TAIL(&d->running, job, at);
}

struct job *dispatch_next(struct dispatch *d)
{
        struct jobs *jobs = d->jobs;

        for (;;) {
                struct job *job = TAILQ_FIRST(&d->ready);

                if (job && jobs->phase < JOBS_STOPPING) { /* else engine_stop() claims it */
                        TAILQ_REMOVE(&d->ready, job, at);
                        claim(d, job);
                        return job;
                }
                if (jobs->phase == JOBS_CLOSED)
                        return NULL;
                d->n_idle++;
                pthread_cond_wait(&d->work, &jobs->lock);
                d->n_idle--;
        }
}

/* ---- jobs ---- */

int dispatch_reserve(struct dispatch *d, struct job *job, struct err *err)
{
        int r;

        if (!admission_reserve(&d->admission, &job->admission))
                return err_set(err, EAGAIN, "full: %u workloads run and %zu wait",
                               d->admission.n_vms, d->admission.n_waiting);
        r = ensure_worker(d, err);
        if (r < 0)
                admission_cancel(&d->admission, &job->admission);
        return r;
}

void dispatch_cancel(struct dispatch *d, struct job *job)
{
        assert(job->state == JOB_ACCEPTING);
        admission_cancel(&d->admission, &job->admission);
        admit(d);
}

void dispatch_enqueue(struct dispatch *d, struct job *job)
{
        if (job->admission.charged) {
                make_ready(d, job);
        } else {
                jobs_move(d->jobs, job, JOB_QUEUED);
                admission_arrive(&d->admission, &job->admission);
        }
        admit(d);
}

void dispatch_claim(struct dispatch *d, struct job *job)
{
        if (job->state == JOB_READY)
                TAILQ_REMOVE(&d->ready, job, at);
        if (job->state == JOB_ACCEPTING)
                admission_cancel(&d->admission, &job->admission);
        else
                admission_leave(&d->admission, &job->admission);
        claim(d, job);
        admit(d);
}

struct job *dispatch_waiting(struct dispatch *d)
{
        struct admission_item *item = TAILQ_FIRST(&d->admission.waiting);

        return item ? JOB_OF(item) : TAILQ_FIRST(&d->ready);
}

void dispatch_give_back(struct dispatch *d, struct job *job, uint64_t ran_ns)
{
        if (ran_ns)
                d->mean_run_ns =
                        d->mean_run_ns ? d->mean_run_ns - d->mean_run_ns / 8 + ran_ns / 8 : ran_ns;
        if (job->admission.charged)
                admission_leave(&d->admission, &job->admission);
        admit(d);
}

void dispatch_retire(struct dispatch *d, struct job *job)
{
        TAILQ_REMOVE(&d->running, job, at);
}

/* The time until the first running workload reaches its time limit, or the default limit if none
 * has begun. Visits max_vms jobs at most. */
static uint64_t until_first_limit(const struct dispatch *d)
{
        uint64_t now = clock_ns(), least = WORKLOAD_TIMEOUT_S * NS_PER_S;
        const struct job *job;

        TAILQ_FOREACH(job, &d->running, at)
        {
                unsigned limit_s = job->record.limits.timeout_s;
                uint64_t limit = (limit_s ? limit_s : WORKLOAD_TIMEOUT_S) * NS_PER_S;
                uint64_t ran = job->began_ns ? now - job->began_ns : 0;

                if (limit <= ran)
                        return 0; /* it is about to be ended */
                if (limit - ran < least)
                        least = limit - ran;
        }
        return least;
}

/* A slot is free when the next workload ends: after the mean run time, divided by the number of
 * those that run. Before any has ended only the time limits are known. */
uint64_t dispatch_expected_wait_ns(const struct dispatch *d)
{
        unsigned n = d->admission.n_vms ? d->admission.n_vms : 1;

        return d->mean_run_ns ? d->mean_run_ns / n : until_first_limit(d);
}
