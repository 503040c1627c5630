/* SPDX-License-Identifier: Apache-2.0 */
/* Killing one workload: engine_kill() and its two halves. */
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/worker.h"

#include <errno.h>

/* No kill is lost, whatever stage the job is in: see backend/run.h. A job that waits is marked,
 * too, and does not begin any more. */
struct job *engine_kill_start(struct engine *e, const char *id)
{
        struct job *job = jobs_find(&e->jobs, id, true);
        bool over, first;

        if (!job)
                return NULL;
        pthread_mutex_lock(&e->jobs.lock);
        over = job_is_over(job);
        first = !over && job_kill(job, false);
        pthread_mutex_unlock(&e->jobs.lock);
        if (over) {
                job_unref(job);
                return NULL;
        }
        if (first) {
                backend_run_stop(&job->run);
                journal_kill(job);
        }
        return job;
}

/*
 * Brings a killed job to its end. If it still waits, this thread claims it; only one thread can,
 * since claiming moves it out of the waiting states under the lock. If another thread has it, this
 * waits for the backend, and the other thread does the rest. Its submitter ends a job that is being
 * accepted. The state may advance after the lock is released; the backend's cleanup() then finds
 * nothing to do.
 */
static void end_killed(struct engine *e, struct job *job)
{
        enum job_state was;
        bool waits;

        pthread_mutex_lock(&e->jobs.lock);
        was = job->state;
        waits = was == JOB_QUEUED || was == JOB_READY;
        if (waits)
                dispatch_claim(&e->dispatch, job);
        pthread_mutex_unlock(&e->jobs.lock);

        if (waits)
                worker_run(e, job);
        else if (was == JOB_CLAIMED || was == JOB_RUNNING)
                job->backend->ops->cleanup(job->backend, &job->run);
}

static int err_ended(const char *id, enum workload_status status, struct err *err)
{
        return err_set(err, EALREADY, "workload %s has ended already: %s", id,
                       workload_status_name(status));
}

int engine_kill_wait(struct engine *e, const char *id, struct job *killed, struct err *err)
{
        struct workload ended = {0};
        enum workload_status status;
        bool rejected;
        int r;

        if (!killed) {
                r = engine_get(e, id, &ended, err);
                status = ended.status;
                workload_release(&ended);
                return r < 0 ? r : err_ended(id, status, err);
        }
        end_killed(e, killed);
        pthread_mutex_lock(&e->jobs.lock);
        while (!job_is_over(killed) && killed->state != JOB_REJECTED)
                pthread_cond_wait(&e->jobs.changed, &e->jobs.lock);
        rejected = killed->state == JOB_REJECTED;
        pthread_mutex_unlock(&e->jobs.lock);
        status = killed->record.status; /* final: needs no lock */
        job_unref(killed);
        if (rejected)
                return err_set(err, ENOENT, "no workload %s", id);
        return status == WORKLOAD_KILLED ? 0 : err_ended(id, status, err);
}

int engine_kill(struct engine *e, const char *id, struct err *err)
{
        return engine_kill_wait(e, id, engine_kill_start(e, id), err);
}
