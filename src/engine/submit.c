/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting workloads: engine_submit(). */
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/record.h"
#include "engine/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "output/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STREAMS_SLACK = 16 /* a run may exceed, for a moment, the output it belongs to */ };

/* Asks the backends of this isolation, in their order, for the runtime. */
static int choose_backend(struct engine *e, const char *isolation, struct workload_spec *spec,
                          size_t *ret, struct err *err)
{
        bool any = strcmp(isolation, "auto") == 0;
        int r = -EOPNOTSUPP;
        char available[128] = "auto";

        for (size_t i = 0; i < e->config.n_backends; i++) {
                struct backend *b = e->config.backends[i];
                size_t n = strlen(available);

                snprintf(available + n, sizeof(available) - n, ", %s", e->isolations[i]);
                if (!any && strcmp(isolation, e->isolations[i]) != 0)
                        continue;
                r = b->ops->resolve(b, spec, err);
                if (r == 0)
                        *ret = i;
                if (r != -ENOENT)
                        return r;
        }
        if (r == -EOPNOTSUPP)
                return err_set(err, EOPNOTSUPP, "isolation: no backend for \"%s\"; there are: %s",
                               isolation, available);
        return r;
}

/* Rejects what is invalid, or can never run on this engine. */
static int check_request(struct engine *e, struct workload_spec *spec, const char *isolation,
                         size_t *ret_backend, enum engine_reject *why, struct err *err)
{
        const struct admission *a = &e->dispatch.admission;
        int r = workload_spec_check(spec, err);

        *why = ENGINE_REJECT_INVALID;
        if (r == 0)
                r = choose_backend(e, isolation, spec, ret_backend, err);
        if (r == 0 && !admission_could_fit(a, spec->limits.mem_mb)) {
                *why = ENGINE_REJECT_TOO_LARGE;
                r = err_set(err, EINVAL,
                            "resources.mem_mb: %u MiB is more than all workloads may have "
                            "together here (max_memory_mb = %llu)",
                            spec->limits.mem_mb, (unsigned long long)a->max_memory_mb);
        }
        return r;
}

static int make_job(struct engine *e, const struct workload_spec *spec, size_t backend,
                    const struct engine_sink *sink, struct job **ret, struct err *err)
{
        struct job *job = NULL;
        struct workload *w;
        int r = job_new(&job, err);

        if (r < 0)
                return r;
        job->backend = e->config.backends[backend];
        job->spec = *spec;
        if (sink)
                job->sink = *sink;
        job->admission.mem_mb = spec->limits.mem_mb;
        w = &job->record;
        w->status = WORKLOAD_PENDING;
        memcpy(w->runtime, spec->runtime, sizeof(w->runtime));
        snprintf(w->isolation, sizeof(w->isolation), "%s", e->isolations[backend]);
        memcpy(w->node_id, e->config.node_id, sizeof(w->node_id));
        w->network = spec->network;
        w->limits = spec->limits;
        w->output = BUF_INIT(e->config.output_record_max);
        w->streams = BUF_INIT(e->config.output_record_max + STREAMS_SLACK);
        w->created_ms = clock_wall_ms();
        *ret = job;
        return 0;
}

/*
 * Reserves a slot, so that the record can be inserted without the lock and still nothing is
 * overbooked. Puts the job into the table, so that whoever reads its id in the store, a moment
 * before it is queued, can kill it.
 */
static int reserve(struct engine *e, struct job *job, struct err *err)
{
        int r;

        pthread_mutex_lock(&e->jobs.lock);
        r = e->jobs.phase == JOBS_OPEN
                    ? dispatch_reserve(&e->dispatch, job, err)
                    : err_set(err, ESHUTDOWN, "stopping: no new workloads are taken");
        if (r == 0)
                jobs_add(&e->jobs, job);
        pthread_mutex_unlock(&e->jobs.lock);
        return r;
}

/* The record could not be inserted. A reference remains with the caller. */
static void unreserve(struct engine *e, struct job *job)
{
        pthread_mutex_lock(&e->jobs.lock);
        dispatch_cancel(&e->dispatch, job);
        jobs_remove(&e->jobs, job, JOB_REJECTED);
        pthread_mutex_unlock(&e->jobs.lock);
}

static enum engine_reject reject_of(int r)
{
        return r == -ESHUTDOWN ? ENGINE_REJECT_STOPPING
               : r == -EAGAIN  ? ENGINE_REJECT_QUEUE_FULL
                               : ENGINE_REJECT_INTERNAL;
}

/* Inserts the record of a job that has a slot. */
static int insert_record(struct engine *e, struct job *job, struct err *err)
{
        int r;

        /* The log comes first: whoever finds the record also finds the log. */
        if (e->config.output)
                job->log = output_log_begin(e->config.output, job->id);
        r = record_insert(e->config.store, &job->record, err);
        if (r < 0) {
                if (!atomic_exchange(&e->store_refuses, true))
                        log_error("workloads are rejected: %s", err->msg);
                output_log_abandon(&job->log);
                unreserve(e, job);
                return r;
        }
        if (atomic_load(&e->store_refuses) && atomic_exchange(&e->store_refuses, false))
                log_warn("workloads are accepted again");
        return 0;
}

/* From a valid request to a job that is recorded. On failure the spec is still the caller's. */
static int accept_request(struct engine *e, const struct workload_spec *spec, size_t backend,
                          const struct engine_sink *sink, struct job **ret, enum engine_reject *why,
                          struct err *err)
{
        struct job *job = NULL;
        int r = make_job(e, spec, backend, sink, &job, err);

        *why = ENGINE_REJECT_INTERNAL;
        if (r < 0)
                return r;
        r = reserve(e, job, err);
        if (r < 0) {
                *why = reject_of(r);
        } else if ((r = insert_record(e, job, err)) < 0) {
                *why = ENGINE_REJECT_STORE;
        } else {
                journal_accepted(job);
                *ret = job;
                return 0;
        }
        job->spec = WORKLOAD_SPEC_INIT;
        job_unref(job); /* a thread that wants to kill it may still have a reference */
        return r;
}

/* Queues a recorded job. If it was killed meanwhile, or the engine stops, it ends here. */
static void enqueue(struct engine *e, struct job *job)
{
        bool killed;

        pthread_mutex_lock(&e->jobs.lock);
        e->jobs.accepted++;
        job->accepted_ns = clock_ns();
        if (e->jobs.phase >= JOBS_STOPPING)
                job_kill(job, true);
        killed = backend_run_is_killed(&job->run);
        if (killed)
                dispatch_claim(&e->dispatch, job);
        else
                dispatch_enqueue(&e->dispatch, job);
        pthread_mutex_unlock(&e->jobs.lock);
        if (killed)
                worker_run(e, job);
}

int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err)
{
        struct workload_spec resolved = *spec; /* a shallow copy: only its limits are changed */
        enum engine_reject why;
        struct job *job = NULL;
        struct err unused;
        size_t backend = 0;
        int r;

        err = err ? err : &unused;
        resolved.fetch_max = e->config.fetch_max;
        r = check_request(e, &resolved, isolation, &backend, &why, err);
        if (r < 0 || (r = accept_request(e, &resolved, backend, sink, &job, &why, err)) < 0) {
                engine_count_reject(e, why);
                return r;
        }
        *spec = WORKLOAD_SPEC_INIT;
        memcpy(ret_id, job->id, ULID_LEN + 1);
        enqueue(e, job);
        return 0;
}

void engine_count_reject(struct engine *e, enum engine_reject why)
{
        prom_counter_inc(e->metrics.rejected[why]);
}
