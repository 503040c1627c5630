/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an engine: draining, and killing all that is left at once. */
#include "engine/internal.h"

enum { STOP_BATCH = 64 }; /* workloads that end with one wait for the store */

void engine_drain(struct engine *e)
{
        pthread_mutex_lock(&e->lock);
        e->draining = true;
        engine_note_idle(e);
        pthread_mutex_unlock(&e->lock);
}

int engine_idle_fd(struct engine *e)
{
        return e->idle_fd;
}

bool engine_is_draining(struct engine *e)
{
        bool draining;

        pthread_mutex_lock(&e->lock);
        draining = e->draining;
        pthread_mutex_unlock(&e->lock);
        return draining;
}

/* With the lock: the next that runs and nobody has killed yet, referenced and marked; NULL: none.
 */
static struct job *pick_victim(struct engine *e)
{
        struct job *job;

        TAILQ_FOREACH(job, &e->running, at)
        {
                if (atomic_exchange(&job->killed, true))
                        continue;
                job->stopped = true;
                if (job->sink.interrupt)
                        job->sink.interrupt(job->sink.ctx);
                job->refs++;
                return job;
        }
        return NULL;
}

/* Tells all VMs to end before it waits for any of them. */
static void stop_running(struct engine *e)
{
        struct job *job;

        pthread_mutex_lock(&e->lock);
        while ((job = pick_victim(e)) != NULL) {
                pthread_mutex_unlock(&e->lock);
                job->backend->ops->stop(job->backend, job->id);
                engine_unref_job(e, job);
                pthread_mutex_lock(&e->lock);
        }
        pthread_mutex_unlock(&e->lock);
}

/* With the lock: one that waits, made one that this thread runs; NULL: none does. */
static struct job *take_queued(struct engine *e)
{
        struct admission_item *item = TAILQ_FIRST(&e->admission.waiting);
        struct job *job = item ? JOB_OF(item) : TAILQ_FIRST(&e->ready);

        if (!job)
                return NULL;
        engine_unqueue(e, job);
        job->refs++;
        if (atomic_exchange(&job->killed, true))
                return job;
        job->stopped = true;
        if (job->sink.interrupt)
                job->sink.interrupt(job->sink.ctx);
        return job;
}

/* Ends those that wait for a VM, with few waits for the store. */
static void stop_queued(struct engine *e)
{
        struct job *batch[STOP_BATCH];
        size_t n;

        do {
                n = 0;
                pthread_mutex_lock(&e->lock);
                while (n < STOP_BATCH && (batch[n] = take_queued(e)) != NULL)
                        n++;
                pthread_mutex_unlock(&e->lock);
                for (size_t i = 0; i < n; i++)
                        engine_run_start(e, batch[i]);
                for (size_t i = 0; i < n; i++) {
                        engine_run_finish(e, batch[i]);
                        engine_unref_job(e, batch[i]);
                }
        } while (n > 0);
}

void engine_stop(struct engine *e)
{
        pthread_mutex_lock(&e->lock);
        e->draining = e->stopping = true;
        pthread_cond_broadcast(&e->moved);
        engine_note_idle(e);
        pthread_mutex_unlock(&e->lock);
        stop_running(e);
        stop_queued(e);
        pthread_mutex_lock(&e->lock);
        while (e->n_jobs > 0)
                pthread_cond_wait(&e->moved, &e->lock);
        pthread_mutex_unlock(&e->lock);
}
