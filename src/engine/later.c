/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends that the store could not take: full disk, file held by another program. Those who wait for
 * the workload have been told. Its record stays in memory, where engine_get() finds it, and one
 * thread, made when it is first needed, tries again until it is written or the engine stops.
 *
 * What is kept so is bounded by what had been accepted: such a store takes no new workloads.
 */
#include "engine/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>

enum {
        RETRY_MS = 500,
        RETRIES_WHOLE = 20, /* with the output, however little room there is */
};

/* With the lock: waits for jobs, then for some time. False when there will be none any more. */
static bool wait_for_some(struct engine *e)
{
        uint64_t until;
        struct timespec ts;

        while (TAILQ_EMPTY(&e->later)) {
                if (e->quit)
                        return false;
                pthread_cond_wait(&e->moved, &e->lock);
        }
        until = clock_ns() + RETRY_MS * NS_PER_MS;
        ts = (struct timespec){(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};
        while (!e->stopping &&
               pthread_cond_clockwait(&e->moved, &e->lock, CLOCK_MONOTONIC, &ts) == 0)
                ;
        return true;
}

static void *keep(void *arg)
{
        struct engine *e = arg;

        pthread_mutex_lock(&e->lock);
        while (wait_for_some(e)) {
                struct job_list now = TAILQ_HEAD_INITIALIZER(now);
                bool last = e->stopping;
                struct job *job;
                int r = 0;

                TAILQ_CONCAT(&now, &e->later, at);
                pthread_mutex_unlock(&e->lock);
                while ((job = TAILQ_FIRST(&now)) != NULL) {
                        TAILQ_REMOVE(&now, job, at);
                        if (r == 0) /* else the store does not take anything */
                                r = record_end_again(e->config.store, &job->record,
                                                     last || ++job->tries >= RETRIES_WHOLE);
                        if (r < 0 && !last) {
                                pthread_mutex_lock(&e->lock);
                                TAILQ_INSERT_TAIL(&e->later, job, at);
                                pthread_mutex_unlock(&e->lock);
                                continue;
                        }
                        if (r < 0)
                                log_error("workload %s: its end is not recorded; the next start "
                                          "will find it unfinished",
                                          job->id);
                        engine_forget(e, job);
                }
                pthread_mutex_lock(&e->lock);
        }
        pthread_mutex_unlock(&e->lock);
        return NULL;
}

void engine_write_later(struct engine *e, struct job *job)
{
        sigset_t all, was;
        bool kept;

        pthread_mutex_lock(&e->lock);
        if (!e->has_keeper) {
                sigfillset(&all); /* signals are for the program's own threads */
                pthread_sigmask(SIG_SETMASK, &all, &was);
                e->has_keeper = pthread_create(&e->keeper, NULL, keep, e) == 0;
                pthread_sigmask(SIG_SETMASK, &was, NULL);
        }
        kept = e->has_keeper;
        if (kept)
                TAILQ_INSERT_TAIL(&e->later, job, at);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
        if (!kept)
                engine_forget(e, job);
}

void engine_later_release(struct engine *e)
{
        if (e->has_keeper)
                pthread_join(e->keeper, NULL);
        e->has_keeper = false;
}
