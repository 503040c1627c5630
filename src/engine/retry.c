/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/retry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/config.h"
#include "engine/record.h"

#include <errno.h>

enum {
        INTERVAL_MS = 500,
        ATTEMPTS_WHOLE = 20,  /* with output and files; after that without if necessary */
        PERMANENT_EVERY = 64, /* rounds between attempts after a permanent error */
};

struct round {
        bool stopping, draining;
        bool locked; /* another program holds the store's file */
};

void retry_init(struct retry *retry, struct jobs *jobs, struct store *store, unsigned interval_ms)
{
        *retry = (struct retry){.jobs = jobs, .store = store};
        retry->interval_ms = interval_ms ? interval_ms : INTERVAL_MS;
        TAILQ_INIT(&retry->waiting);
}

static void forget(struct jobs *jobs, struct job *job)
{
        pthread_mutex_lock(&jobs->lock);
        jobs_remove(jobs, job, JOB_FORGOTTEN);
        pthread_mutex_unlock(&jobs->lock);
        job_unref(job);
}

/* Waits until there is a job. False when the thread shall exit. With the lock. */
static bool wait_for_jobs(struct retry *retry)
{
        struct jobs *jobs = retry->jobs;

        while (TAILQ_EMPTY(&retry->waiting)) {
                if (jobs->phase == JOBS_CLOSED)
                        return false;
                pthread_cond_wait(&jobs->changed, &jobs->lock);
        }
        return true;
}

/* Waits until the next round is due, which is now if the engine stops. With the lock. */
static void wait_for_interval(struct retry *retry)
{
        struct jobs *jobs = retry->jobs;
        uint64_t until = clock_ns() + retry->interval_ms * NS_PER_MS;

        while (jobs->phase < JOBS_STOPPING && clock_cond_wait(&jobs->changed, &jobs->lock, until))
                ;
}

/* True if this round skips the job after a permanent error. */
static bool is_skipped(const struct job *job, bool last)
{
        return !last && job->permanent && job->attempts % PERMANENT_EVERY != 1;
}

/* One attempt. 0: the completion is recorded, or given up. */
static int try_to_record(struct retry *retry, struct job *job, struct round *round)
{
        bool last = round->stopping || (round->draining && job->permanent);
        bool bare = last || job->permanent || job->attempts >= ATTEMPTS_WHOLE;
        int r = -EBUSY;

        job->attempts++;
        if (is_skipped(job, last))
                return -EAGAIN;
        if (!round->locked) {
                r = record_end_again(retry->store, &job->record, bare);
                round->locked = r == -EBUSY;
                job->permanent = r < 0 && !record_error_is_transient(r);
        }
        if (r < 0 && last) {
                log_error("workload %s: its end is not recorded; the next start will find it "
                          "unfinished",
                          job->id);
                return 0;
        }
        return r;
}

/* Tries all jobs of a list; those that remain in it are to be tried again. Without the lock. */
static void run_round(struct retry *retry, struct job_list *list, struct round round)
{
        struct job_list remaining = TAILQ_HEAD_INITIALIZER(remaining);
        struct job *job;

        while ((job = TAILQ_FIRST(list)) != NULL) {
                TAILQ_REMOVE(list, job, at);
                if (try_to_record(retry, job, &round) < 0)
                        TAILQ_INSERT_TAIL(&remaining, job, at);
                else
                        forget(retry->jobs, job);
        }
        TAILQ_CONCAT(list, &remaining, at);
}

static void *retry_thread(void *arg)
{
        struct retry *retry = arg;
        struct jobs *jobs = retry->jobs;

        pthread_mutex_lock(&jobs->lock);
        while (wait_for_jobs(retry)) {
                struct job_list list = TAILQ_HEAD_INITIALIZER(list);
                struct round round;

                wait_for_interval(retry);
                round = (struct round){.stopping = jobs->phase >= JOBS_STOPPING,
                                       .draining = jobs->phase >= JOBS_DRAINING};
                /* The list is this thread's own now, so the lock can be given up during I/O. */
                TAILQ_CONCAT(&list, &retry->waiting, at);
                pthread_mutex_unlock(&jobs->lock);
                run_round(retry, &list, round);
                pthread_mutex_lock(&jobs->lock);
                TAILQ_CONCAT(&list, &retry->waiting, at); /* newer ones go after them */
                TAILQ_CONCAT(&retry->waiting, &list, at);
        }
        pthread_mutex_unlock(&jobs->lock);
        return NULL;
}

void retry_add(struct retry *retry, struct job *job, bool permanent)
{
        struct jobs *jobs = retry->jobs;
        struct job *given_up = NULL;

        pthread_mutex_lock(&jobs->lock);
        if (!retry->started)
                retry->started = thread_start(&retry->thread, "engine-retry", 0, retry_thread,
                                              retry, NULL) == 0;
        job->permanent = permanent;
        TAILQ_INSERT_TAIL(&retry->waiting, job, at);
        if (!retry->started || jobs->by_state[JOB_UNRECORDED] > ENGINE_UNRECORDED_MAX) {
                given_up = TAILQ_FIRST(&retry->waiting);
                TAILQ_REMOVE(&retry->waiting, given_up, at);
        }
        pthread_cond_broadcast(&jobs->changed);
        pthread_mutex_unlock(&jobs->lock);
        if (given_up) {
                log_error("workload %s: its end is not recorded; too many completions wait",
                          given_up->id);
                forget(jobs, given_up);
        }
}

void retry_join(struct retry *retry)
{
        if (retry->started)
                pthread_join(retry->thread, NULL);
        retry->started = false;
}
