/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/worker.h"

#include "base/clock.h"
#include "engine/journal.h"
#include "engine/record.h"
#include "output/output.h"
#include "workload/streams.h"

#include <stdio.h>
#include <string.h>

/* ---- what the backend reports; `ctx` is the job ---- */

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

/* Into the record that engine_get() shows. The store gets all figures with the completion. */
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

/* ---- one job ---- */

static void begin(struct engine *e, struct job *job)
{
        struct workload next = job->record;
        uint64_t now = clock_ns();

        prom_histogram_observe(e->metrics.queue_wait, ns_to_s(now - job->accepted_ns));
        next.status = WORKLOAD_RUNNING;
        next.started_ms = clock_wall_ms();
        record_begin(e->config.store, &next);
        pthread_mutex_lock(&e->jobs.lock);
        job->began_ns = now;
        jobs_move_record(&e->jobs, job, JOB_RUNNING, &next);
        pthread_mutex_unlock(&e->jobs.lock);
        journal_begun(job);
}

static bool was_shut_down(struct engine *e, const struct job *job)
{
        bool by_shutdown;

        pthread_mutex_lock(&e->jobs.lock);
        by_shutdown = job->killed_by_shutdown;
        pthread_mutex_unlock(&e->jobs.lock);
        return by_shutdown;
}

/*
 * The backend decides the status. The engine replaces it in two cases: the workload was killed
 * before it began, so the backend had nothing to execute; or the backend returned without a final
 * status, which is a bug.
 */
static void check_outcome(struct engine *e, const struct job *job, bool began,
                          struct workload_outcome *o)
{
        if (!began) {
                o->status = WORKLOAD_KILLED;
                snprintf(o->error, sizeof(o->error), "killed before it began");
        } else if (!workload_status_is_end(o->status)) {
                o->status = WORKLOAD_FAILED;
                snprintf(o->error, sizeof(o->error), "the backend returned no final status");
        }
        if (o->status == WORKLOAD_KILLED && was_shut_down(e, job)) {
                size_t n = strlen(o->error);

                snprintf(o->error + n, sizeof(o->error) - n, ": the daemon shut down");
        }
}

/* Every job passes through the backend's execute(). For a job that was killed before it began, the
 * backend makes nothing. */
static void execute(struct engine *e, struct job *job, struct workload_outcome *ret)
{
        struct backend_task task = {
                .spec = &job->spec,
                .sink = {on_booting, on_ready, on_measured, on_output, on_fetched, job},
                .run = &job->run,
        };
        bool begins = !backend_run_is_killed(&job->run);

        *ret = (struct workload_outcome){.exit_code = -1};
        memcpy(task.id, job->id, sizeof(task.id));
        if (begins)
                begin(e, job);
        job->backend->ops->execute(job->backend, &task, ret);
        check_outcome(e, job, begins, ret);
}

/* The VM is gone: another may take its slot before this completion is recorded. */
static void give_back(struct engine *e, struct job *job, enum workload_status status)
{
        uint64_t ran_ns = job->began_ns ? clock_ns() - job->began_ns : 0;

        if (ran_ns)
                engine_metrics_observe_duration(&e->metrics, job->spec.runtime, status, ran_ns);
        pthread_mutex_lock(&e->jobs.lock);
        dispatch_give_back(&e->dispatch, job, ran_ns);
        pthread_mutex_unlock(&e->jobs.lock);
}

void worker_run_start(struct engine *e, struct job *job)
{
        struct workload_outcome outcome;

        execute(e, job, &outcome);
        give_back(e, job, outcome.status);
        workload_spec_release(&job->spec); /* code and standard input are no longer needed */
        job->completion = job->record;
        job->completion.status = outcome.status;
        job->completion.outcome = outcome;
        job->completion.finished_ms = clock_wall_ms();
        record_end_start(e->config.store, &job->completion, &job->completing);
}

/* The final status becomes visible after the store has taken or refused it. */
static void end(struct engine *e, struct job *job, bool recorded)
{
        enum job_state to = recorded ? JOB_RECORDED : JOB_UNRECORDED;

        pthread_mutex_lock(&e->jobs.lock);
        jobs_move_record(&e->jobs, job, to, &job->completion);
        dispatch_retire(&e->dispatch, job);
        pthread_mutex_unlock(&e->jobs.lock);
        journal_ended(job, e->config.store != NULL);
        output_log_end(&job->log); /* its readers find the workload ended */
        if (job->sink.ended)
                job->sink.ended(job->sink.ctx, &job->record);
}

void worker_run_finish(struct engine *e, struct job *job)
{
        int r = record_end_wait(e->config.store, &job->completion, &job->completing);

        end(e, job, r == 0);
        if (r < 0) {
                retry_add(&e->retry, job, !record_error_is_transient(r));
                return;
        }
        pthread_mutex_lock(&e->jobs.lock);
        jobs_remove(&e->jobs, job, JOB_FORGOTTEN);
        pthread_mutex_unlock(&e->jobs.lock);
        job_unref(job);
}

void worker_run(struct engine *e, struct job *job)
{
        worker_run_start(e, job);
        worker_run_finish(e, job);
}

void *worker_main(void *engine)
{
        struct engine *e = engine;
        struct job *job;

        pthread_mutex_lock(&e->jobs.lock);
        while ((job = dispatch_next(&e->dispatch)) != NULL) {
                pthread_mutex_unlock(&e->jobs.lock);
                worker_run(e, job);
                pthread_mutex_lock(&e->jobs.lock);
        }
        pthread_mutex_unlock(&e->jobs.lock);
        return NULL;
}
