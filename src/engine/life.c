/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one job, on the thread that runs it, and the threads that do. */
#include "engine/internal.h"

#include "base/clock.h"
#include "base/thread.h"
#include "output/output.h"
#include "workload/streams.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STACK_SIZE = 1 << 20 };

/* ---- moves ---- */

/*
 * The one place that moves a workload from a status to another: record and counts change in one
 * moment. An end has been written to the store before; so what a client was told survives a crash.
 */
static void engine_move(struct engine *e, struct job *job, const struct workload *next)
{
        pthread_mutex_lock(&e->lock);
        assert(workload_may_move(job->record.status, next->status));
        e->by_status[job->record.status]--;
        e->by_status[next->status]++;
        pthread_mutex_lock(&job->lock);
        job->record = *next;
        pthread_mutex_unlock(&job->lock);
        if (workload_status_is_end(next->status)) {
                job->over = true;
                TAILQ_REMOVE(&e->running, job, at);
                pthread_cond_broadcast(&e->moved);
        }
        pthread_mutex_unlock(&e->lock);
}

static void begin(struct engine *e, struct job *job)
{
        struct workload next = job->record;

        job->began_ns = clock_ns();
        prom_histogram_observe(e->metrics.queue_wait, ns_to_s(job->began_ns - job->accepted_ns));
        next.status = WORKLOAD_RUNNING;
        next.started_ms = clock_wall_ms();
        record_begin(e->config.store, &next);
        engine_move(e, job, &next);
        engine_log_begun(job);
}

/* ---- what the backend says ---- */

static void on_booting(void *ctx)
{
        struct job *job = ctx;

        if (job->sink.booting)
                job->sink.booting(job->sink.ctx);
}

static void on_ready(void *ctx)
{
        struct job *job = ctx;

        if (job->sink.ready)
                job->sink.ready(job->sink.ctx);
}

/* Into the record that engine_get() shows; the store gets all of it with the end. */
static void on_measured(void *ctx, const struct workload_outcome *so_far)
{
        struct job *job = ctx;
        struct workload_outcome *o = &job->record.outcome;

        pthread_mutex_lock(&job->lock);
        o->boot_ns = so_far->boot_ns;
        o->vsock_ns = so_far->vsock_ns;
        o->cleanup_ns = so_far->cleanup_ns;
        o->wall_us = so_far->wall_us;
        o->user_us = so_far->user_us;
        o->system_us = so_far->system_us;
        o->memory_peak = so_far->memory_peak;
        o->output_bytes = so_far->output_bytes;
        o->dropped_bytes = so_far->dropped_bytes;
        pthread_mutex_unlock(&job->lock);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct job *job = ctx;
        struct buf *output = &job->record.output;
        size_t room;

        pthread_mutex_lock(&job->lock);
        room = output->max - output->len;
        if (room > n)
                room = n;
        if (buf_reserve(output, room) == 0 && streams_add(&job->record.streams, stream, room) == 0)
                buf_add(output, bytes, room);
        pthread_mutex_unlock(&job->lock);
        output_log_write(job->log, stream, bytes, n);
        return job->sink.output ? job->sink.output(job->sink.ctx, stream, bytes, n) : 0;
}

static void on_fetched(void *ctx, struct workload_fetch *fetch)
{
        struct job *job = ctx;

        pthread_mutex_lock(&job->lock);
        job->record.fetch = fetch;
        pthread_mutex_unlock(&job->lock);
}

static bool was_stopped(struct engine *e, const struct job *job)
{
        bool stopped;

        pthread_mutex_lock(&e->lock);
        stopped = job->stopped;
        pthread_mutex_unlock(&e->lock);
        return stopped;
}

static void execute(struct engine *e, struct job *job, struct workload_outcome *ret)
{
        struct backend_task task = {
                .spec = &job->spec,
                .sink = {on_booting, on_ready, on_measured, on_output, on_fetched, job},
                .killed = &job->killed,
        };
        bool began = !atomic_load(&job->killed);

        *ret = (struct workload_outcome){.exit_code = -1};
        memcpy(task.id, job->id, sizeof(task.id));
        if (began)
                begin(e, job);
        job->backend->ops->execute(job->backend, &task, ret);

        if (!began) {
                ret->status = WORKLOAD_KILLED;
                snprintf(ret->error, sizeof(ret->error), "killed before it began");
        } else if (!workload_status_is_end(ret->status)) {
                ret->status = WORKLOAD_FAILED;
                snprintf(ret->error, sizeof(ret->error), "the backend did not say how it ended");
        }
        if (ret->status == WORKLOAD_KILLED && was_stopped(e, job)) {
                size_t n = strlen(ret->error);

                snprintf(ret->error + n, sizeof(ret->error) - n, ": the daemon shut down");
        }
}

/* ---- one job ---- */

/* The VM is gone: the next may come before this end is written down. */
static void give_back(struct engine *e, struct job *job, enum workload_status status)
{
        uint64_t ran = job->began_ns ? clock_ns() - job->began_ns : 0;

        if (ran)
                engine_metrics_observe_duration(&e->metrics, job->spec.runtime, status, ran);
        pthread_mutex_lock(&e->lock);
        if (ran)
                e->mean_run_ns =
                        e->mean_run_ns ? e->mean_run_ns - e->mean_run_ns / 8 + ran / 8 : ran;
        if (job->admission.charged)
                admission_leave(&e->admission, &job->admission);
        engine_dispatch(e);
        pthread_mutex_unlock(&e->lock);
}

void engine_run_start(struct engine *e, struct job *job)
{
        struct workload_outcome outcome;

        execute(e, job, &outcome);
        give_back(e, job, outcome.status);
        workload_spec_release(&job->spec); /* code and standard input are of no use any more */
        job->ended = job->record;
        job->ended.status = outcome.status;
        job->ended.outcome = outcome;
        job->ended.finished_ms = clock_wall_ms();
        record_end_start(e->config.store, &job->ended, &job->end);
}

void engine_forget(struct engine *e, struct job *job)
{
        pthread_mutex_lock(&e->lock);
        engine_untable(e, job);
        e->n_later -= job->later;
        e->n_jobs--;
        engine_note_idle(e);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
        engine_unref_job(e, job);
}

void engine_run_finish(struct engine *e, struct job *job)
{
        int r = record_end_wait(e->config.store, &job->ended, &job->end);

        engine_move(e, job, &job->ended);
        engine_log_ended(e, job);
        output_log_end(&job->log); /* who follows it finds the workload ended */
        if (job->sink.ended)
                job->sink.ended(job->sink.ctx, &job->record);
        if (r == 0)
                engine_forget(e, job);
        else
                engine_write_later(e, job, !record_may_pass(r));
}

void engine_run_job(struct engine *e, struct job *job)
{
        engine_run_start(e, job);
        engine_run_finish(e, job);
}

void engine_note_idle(struct engine *e)
{
        uint64_t one = 1;
        ssize_t n;

        if (e->draining && e->n_jobs == 0) {
                n = write(e->idle_fd, &one, sizeof(one)); /* can only fail when it is readable */
                (void)n;
        }
}

/* ---- workers ---- */

static void *work(void *arg)
{
        struct engine *e = arg;

        pthread_mutex_lock(&e->lock);
        for (;;) {
                struct job *job = TAILQ_FIRST(&e->ready);

                if (job && !e->stopping) { /* else engine_stop() sees to it */
                        TAILQ_REMOVE(&e->ready, job, at);
                        e->n_ready--;
                        TAILQ_INSERT_TAIL(&e->running, job, at);
                        job->queued = false;
                        pthread_mutex_unlock(&e->lock);
                        engine_run_job(e, job);
                        pthread_mutex_lock(&e->lock);
                } else if (e->quit) {
                        break;
                } else {
                        e->n_idle++;
                        pthread_cond_wait(&e->work, &e->lock);
                        e->n_idle--;
                }
        }
        pthread_mutex_unlock(&e->lock);
        return NULL;
}

int engine_ensure_worker(struct engine *e, struct err *err)
{
        int r;

        if (e->n_workers >= e->max_workers || (e->n_workers && e->n_ready <= e->n_idle))
                return 0;
        r = thread_start(&e->workers[e->n_workers], "engine-worker", STACK_SIZE, work, e,
                         e->n_workers ? NULL : err);
        if (r == 0)
                e->n_workers++;
        return e->n_workers ? 0 : r;
}

void engine_make_ready(struct engine *e, struct job *job)
{
        TAILQ_INSERT_TAIL(&e->ready, job, at);
        e->n_ready++;
        engine_ensure_worker(e, NULL); /* there is one, at least */
        pthread_cond_signal(&e->work);
}

void engine_dispatch(struct engine *e)
{
        struct admission_item *item;

        while (!e->stopping && (item = admission_next(&e->admission)) != NULL)
                engine_make_ready(e, JOB_OF(item));
}

void engine_unqueue(struct engine *e, struct job *job)
{
        assert(job->queued);
        job->queued = false;
        if (job->admission.charged) {
                TAILQ_REMOVE(&e->ready, job, at);
                e->n_ready--;
        }
        admission_leave(&e->admission, &job->admission);
        TAILQ_INSERT_TAIL(&e->running, job, at);
}
