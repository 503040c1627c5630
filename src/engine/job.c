/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/job.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TO(state) (1u << (state))

/* Row: from. Bit: to. */
static const unsigned transitions[JOB_STATE_COUNT] = {
        /* The submitter claims a job itself if it was killed while its record was inserted. */
        [JOB_ACCEPTING] = TO(JOB_REJECTED) | TO(JOB_QUEUED) | TO(JOB_READY) | TO(JOB_CLAIMED),
        [JOB_REJECTED] = 0,
        /* The thread that kills a job which waits claims it. */
        [JOB_QUEUED] = TO(JOB_READY) | TO(JOB_CLAIMED),
        [JOB_READY] = TO(JOB_CLAIMED),
        [JOB_CLAIMED] = TO(JOB_RUNNING) | TO(JOB_RECORDED) | TO(JOB_UNRECORDED),
        [JOB_RUNNING] = TO(JOB_RECORDED) | TO(JOB_UNRECORDED),
        [JOB_RECORDED] = TO(JOB_FORGOTTEN),
        [JOB_UNRECORDED] = TO(JOB_FORGOTTEN),
        [JOB_FORGOTTEN] = 0,
};

int jobs_init(struct jobs *jobs, size_t expected, struct err *err)
{
        int r;

        pthread_mutex_init(&jobs->lock, NULL);
        pthread_cond_init(&jobs->changed, NULL);
        TAILQ_INIT(&jobs->unrecorded);
        jobs->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (jobs->idle_fd < 0)
                return err_errno(err, "eventfd");
        r = idtable_init(&jobs->table, expected);
        return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

void jobs_release(struct jobs *jobs)
{
        close_fd(&jobs->idle_fd);
        idtable_release(&jobs->table);
        pthread_cond_destroy(&jobs->changed);
        pthread_mutex_destroy(&jobs->lock);
}

/* ---- one job ---- */

int job_new(struct job **ret, struct err *err)
{
        struct job *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return err_set(err, ENOMEM, "out of memory");
        r = ulid_new(job->id, err);
        if (r < 0) {
                free(job);
                return r;
        }
        memcpy(job->record.id, job->id, sizeof(job->id));
        pthread_mutex_init(&job->lock, NULL);
        backend_run_init(&job->run);
        atomic_init(&job->refs, 1);
        job->state = JOB_ACCEPTING;
        *ret = job;
        return 0;
}

/* Needs no ordering: the caller's own reference, or the table's, keeps the job alive. */
struct job *job_ref(struct job *job)
{
        atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
        return job;
}

/*
 * Without the lock: a reference that reaches 0 cannot be taken again, since the table's own is gone
 * by then and jobs_find() finds the job no more. Release and acquire order what the other holders
 * did to the job before its freeing.
 */
void job_unref(struct job *job)
{
        if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
                return;
        workload_spec_release(&job->spec);
        workload_release(&job->record);
        backend_run_release(&job->run);
        pthread_mutex_destroy(&job->lock);
        free(job);
}

bool job_is_over(const struct job *job)
{
        return job->state >= JOB_RECORDED;
}

bool job_kill(struct job *job, bool by_shutdown)
{
        if (!backend_run_kill(&job->run))
                return false;
        job->killed_by_shutdown = by_shutdown;
        if (job->sink.interrupt)
                job->sink.interrupt(job->sink.ctx);
        return true;
}

/* ---- the table and the states ---- */

void jobs_add(struct jobs *jobs, struct job *job)
{
        assert(job->state == JOB_ACCEPTING);
        idtable_add(&jobs->table, &job->by_id, job->id);
        jobs->by_state[JOB_ACCEPTING]++;
}

struct job *jobs_find(struct jobs *jobs, const char *id, bool accepting)
{
        struct job *job;

        pthread_mutex_lock(&jobs->lock);
        job = IDTABLE_OBJECT(idtable_find(&jobs->table, id), struct job, by_id);
        if (job && job->state == JOB_ACCEPTING && !accepting)
                job = NULL;
        if (job)
                job_ref(job);
        pthread_mutex_unlock(&jobs->lock);
        return job;
}

void jobs_move(struct jobs *jobs, struct job *job, enum job_state to)
{
        assert(transitions[job->state] & TO(to));
        jobs->by_state[job->state]--;
        jobs->by_state[to]++;
        job->state = to;
}

void jobs_move_record(struct jobs *jobs, struct job *job, enum job_state to,
                      const struct workload *record)
{
        assert(workload_may_move(job->record.status, record->status));
        jobs_move(jobs, job, to);
        assert(workload_status_is_end(record->status) == job_is_over(job));
        pthread_mutex_lock(&job->lock);
        job->record = *record;
        pthread_mutex_unlock(&job->lock);
        if (to == JOB_UNRECORDED)
                TAILQ_INSERT_TAIL(&jobs->unrecorded, job, in_unrecorded);
        if (job_is_over(job)) {
                jobs->ended[record->status]++;
                pthread_cond_broadcast(&jobs->changed);
        }
}

static void note_idle(struct jobs *jobs)
{
        uint64_t one = 1;
        ssize_t n;

        if (jobs->phase >= JOBS_DRAINING && jobs->table.n_entries == 0) {
                n = write(jobs->idle_fd, &one, sizeof(one)); /* fails only if already readable */
                (void)n;
        }
}

void jobs_remove(struct jobs *jobs, struct job *job, enum job_state to)
{
        if (job->state == JOB_UNRECORDED)
                TAILQ_REMOVE(&jobs->unrecorded, job, in_unrecorded);
        jobs_move(jobs, job, to);
        idtable_remove(&jobs->table, &job->by_id);
        note_idle(jobs);
        pthread_cond_broadcast(&jobs->changed);
}

void jobs_enter(struct jobs *jobs, enum jobs_phase phase)
{
        if (jobs->phase >= phase)
                return;
        jobs->phase = phase;
        note_idle(jobs);
        pthread_cond_broadcast(&jobs->changed);
}

size_t jobs_pending(const struct jobs *jobs)
{
        return jobs->by_state[JOB_QUEUED] + jobs->by_state[JOB_READY] + jobs->by_state[JOB_CLAIMED];
}
