/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends that the store did not take: full disk, file held by another program, a damaged page. Those
 * who wait for the workload have been told. Its record stays in memory, where engine_get() finds it,
 * and one thread, made when it is first needed, tries again until it is written or the engine stops.
 *
 * Each is tried in each round, since a disk that has no room for one may have it for the next. But a
 * file that is held is waited for once a round, and what the store refused not only for now is tried
 * in each REFUSED_EVERY-th round. A drain waits for the former and not for the latter, which gets one
 * last try.
 *
 * At most ENGINE_UNRECORDED_MAX are kept; beyond that the oldest is given up.
 */
#include "engine/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>

enum {
        AGAIN_MS = 500,
        ROUNDS_WHOLE = 20, /* with the output, however little room there is */
        REFUSED_EVERY = 64,
};

/* With the lock: waits for jobs, then for some time. False when there will be none any more. */
static bool wait_for_some(struct engine *e)
{
        unsigned ms = e->config.record_again_ms ? e->config.record_again_ms : AGAIN_MS;
        uint64_t until;

        while (TAILQ_EMPTY(&e->later)) {
                if (e->quit)
                        return false;
                pthread_cond_wait(&e->moved, &e->lock);
        }
        until = clock_ns() + ms * NS_PER_MS;
        while (!e->stopping && clock_cond_wait(&e->moved, &e->lock, until))
                ;
        return true;
}

/* What a round is about to do. */
struct round {
        bool stopping, draining;
        bool held; /* the file is held by another program */
};

/* One round for one job. 0: it is written down, or given up. */
static int try_again(struct engine *e, struct job *job, struct round *round)
{
        bool last = round->stopping || (round->draining && job->refused);
        bool bare = last || job->refused || job->rounds >= ROUNDS_WHOLE;
        int r = -EBUSY;

        job->rounds++;
        if (!last && job->refused && job->rounds % REFUSED_EVERY != 1)
                return -EAGAIN;
        if (!round->held) {
                r = record_end_again(e->config.store, &job->record, bare);
                round->held = r == -EBUSY;
                job->refused = r < 0 && !record_may_pass(r);
        }
        if (r < 0 && last) {
                log_error("workload %s: its end is not recorded; the next start will find it "
                          "unfinished",
                          job->id);
                return 0;
        }
        return r;
}

static void *keep(void *arg)
{
        struct engine *e = arg;

        pthread_mutex_lock(&e->lock);
        while (wait_for_some(e)) {
                struct job_list now = TAILQ_HEAD_INITIALIZER(now);
                struct job_list kept = TAILQ_HEAD_INITIALIZER(kept);
                struct round round = {.stopping = e->stopping, .draining = e->draining};
                struct job *job;

                TAILQ_CONCAT(&now, &e->later, at);
                pthread_mutex_unlock(&e->lock);
                while ((job = TAILQ_FIRST(&now)) != NULL) {
                        TAILQ_REMOVE(&now, job, at);
                        if (try_again(e, job, &round) < 0)
                                TAILQ_INSERT_TAIL(&kept, job, at);
                        else
                                engine_forget(e, job);
                }
                pthread_mutex_lock(&e->lock);
                TAILQ_CONCAT(&kept, &e->later, at); /* the oldest stay in front */
                TAILQ_CONCAT(&e->later, &kept, at);
        }
        pthread_mutex_unlock(&e->lock);
        return NULL;
}

void engine_write_later(struct engine *e, struct job *job, bool refused)
{
        struct job *given_up = NULL;

        pthread_mutex_lock(&e->lock);
        if (!e->has_keeper)
                e->has_keeper = thread_start(&e->keeper, "engine-retry", 0, keep, e, NULL) == 0;
        job->refused = refused;
        job->later = true;
        TAILQ_INSERT_TAIL(&e->later, job, at);
        e->n_later++;
        if (!e->has_keeper || e->n_later > ENGINE_UNRECORDED_MAX) {
                given_up = TAILQ_FIRST(&e->later);
                TAILQ_REMOVE(&e->later, given_up, at);
        }
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
        if (given_up) {
                log_error("workload %s: its end is not recorded, and too many like it wait",
                          given_up->id);
                engine_forget(e, given_up);
        }
}

void engine_later_release(struct engine *e)
{
        if (e->has_keeper)
                pthread_join(e->keeper, NULL);
        e->has_keeper = false;
}
