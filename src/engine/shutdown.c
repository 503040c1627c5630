/* SPDX-License-Identifier: Apache-2.0 */
/* The shutdown of an engine: draining it, and killing all remaining workloads. */
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/worker.h"

enum { BATCH = 64 }; /* queued workloads that end with one wait for the store */

void engine_drain(struct engine *e)
{
        pthread_mutex_lock(&e->jobs.lock);
        jobs_enter(&e->jobs, JOBS_DRAINING);
        pthread_mutex_unlock(&e->jobs.lock);
}

int engine_idle_fd(struct engine *e)
{
        return e->jobs.idle_fd;
}

bool engine_is_draining(struct engine *e)
{
        bool draining;

        pthread_mutex_lock(&e->jobs.lock);
        draining = e->jobs.phase >= JOBS_DRAINING;
        pthread_mutex_unlock(&e->jobs.lock);
        return draining;
}

/* A reference to a running job that was not killed before and is now; NULL: none. With the lock. */
static struct job *kill_next(struct engine *e)
{
        struct job *job;

        TAILQ_FOREACH(job, &e->dispatch.running, at)
        {
                if (job_kill(job, true))
                        return job_ref(job);
        }
        return NULL;
}

/*
 * Kills all claimed and running jobs, and stops all VMs before it waits for any. No job is missed:
 * in phase JOBS_STOPPING workers claim no jobs, and the submitter of a new job kills it itself. So
 * after the last one is killed, an unkilled job cannot enter the list.
 */
static void stop_running(struct engine *e)
{
        struct job *job;

        pthread_mutex_lock(&e->jobs.lock);
        while ((job = kill_next(e)) != NULL) {
                pthread_mutex_unlock(&e->jobs.lock);
                backend_run_stop(&job->run);
                job_unref(job);
                pthread_mutex_lock(&e->jobs.lock);
        }
        pthread_mutex_unlock(&e->jobs.lock);
}

/* A waiting job, killed and claimed for this thread, with a reference; NULL: none. With
 * the lock. */
static struct job *claim_waiting(struct engine *e)
{
        struct job *job = dispatch_waiting(&e->dispatch);

        if (!job)
                return NULL;
        dispatch_claim(&e->dispatch, job);
        job_kill(job, true);
        return job_ref(job);
}

/* Ends the jobs that wait for a VM, many with each wait for the store. */
static void stop_waiting(struct engine *e)
{
        struct job *batch[BATCH];
        size_t n;

        do {
                n = 0;
                pthread_mutex_lock(&e->jobs.lock);
                while (n < BATCH && (batch[n] = claim_waiting(e)) != NULL)
                        n++;
                pthread_mutex_unlock(&e->jobs.lock);
                for (size_t i = 0; i < n; i++)
                        worker_run_start(e, batch[i]);
                for (size_t i = 0; i < n; i++) {
                        worker_run_finish(e, batch[i]);
                        job_unref(batch[i]);
                }
        } while (n > 0);
}

void engine_stop(struct engine *e)
{
        pthread_mutex_lock(&e->jobs.lock);
        jobs_enter(&e->jobs, JOBS_STOPPING);
        pthread_mutex_unlock(&e->jobs.lock);
        stop_running(e);
        stop_waiting(e);
        pthread_mutex_lock(&e->jobs.lock);
        while (e->jobs.table.n_entries > 0)
                pthread_cond_wait(&e->jobs.changed, &e->jobs.lock);
        pthread_mutex_unlock(&e->jobs.lock);
}
