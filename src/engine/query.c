/* SPDX-License-Identifier: Apache-2.0 */
/* Reading from an engine: records, lists, statistics, counts. */
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/record.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- one record ---- */

static int copy_buf(const struct buf *from, struct buf *ret)
{
        *ret = BUF_INIT(from->max);
        return buf_add(ret, from->data, from->len);
}

/* A copy that owns its output. */
static int copy_record(struct job *job, struct workload *ret, struct err *err)
{
        struct buf output, streams = BUF_INIT(0);
        int r;

        pthread_mutex_lock(&job->lock);
        r = copy_buf(&job->record.output, &output);
        if (r == 0)
                r = copy_buf(&job->record.streams, &streams);
        if (r == 0) {
                *ret = job->record;
                ret->output = output;
                ret->streams = streams;
                workload_fetch_ref(ret->fetch);
        }
        pthread_mutex_unlock(&job->lock);
        if (r == 0)
                return 0;
        buf_release(&output);
        buf_release(&streams);
        return err_set(err, -r, "out of memory");
}

int engine_get(struct engine *e, const char *id, struct workload *ret, struct err *err)
{
        struct job *job = jobs_find(&e->jobs, id, false);
        int r;

        if (!job)
                return record_get(e->config.store, id, ret, err);
        r = copy_record(job, ret, err);
        job_unref(job);
        return r;
}

/* ---- lists and statistics ---- */

/* The completions that the store has not taken, with references to their jobs. Usually none. */
struct unrecorded {
        struct job **jobs;
        const struct workload **records;
        size_t n;
};

static int take_unrecorded(struct jobs *jobs, struct unrecorded *ret, struct err *err)
{
        struct job *job;
        size_t n;

        *ret = (struct unrecorded){0};
        pthread_mutex_lock(&jobs->lock);
        n = jobs->by_state[JOB_UNRECORDED];
        if (n) {
                ret->jobs = calloc(n, sizeof(struct job *));
                ret->records = calloc(n, sizeof(struct workload *));
        }
        if (ret->jobs && ret->records) {
                TAILQ_FOREACH(job, &jobs->unrecorded, in_unrecorded)
                {
                        ret->jobs[ret->n] = job_ref(job);
                        ret->records[ret->n++] = &job->record; /* final: needs no lock */
                }
        }
        pthread_mutex_unlock(&jobs->lock);
        return ret->n == n ? 0 : err_set(err, ENOMEM, "out of memory");
}

static void drop_unrecorded(struct unrecorded *u)
{
        for (size_t i = 0; i < u->n; i++)
                job_unref(u->jobs[i]);
        free(u->jobs);
        free(u->records);
}

/* Replaces an unfinished record of a list by the live one, which has the figures known
 * so far. In a list filtered by status, a record whose status has changed meanwhile
 * remains as the store has it. */
static void show_live(struct engine *e, struct workload *item, bool filtered)
{
        struct job *job = jobs_find(&e->jobs, item->id, false);

        if (!job)
                return;
        pthread_mutex_lock(&job->lock);
        if (!filtered || job->record.status == item->status) {
                *item = job->record;
                item->output = item->streams = BUF_INIT(0);
                item->fetch = NULL;
        }
        pthread_mutex_unlock(&job->lock);
        job_unref(job);
}

int engine_list(struct engine *e, int status, unsigned limit, uint64_t offset,
                struct workload_list *ret, struct err *err)
{
        struct store_overlay overlay;
        struct unrecorded unrecorded;
        int r = take_unrecorded(&e->jobs, &unrecorded, err);

        overlay = (struct store_overlay){unrecorded.records, unrecorded.n};
        if (r == 0)
                r = record_list(e->config.store, status, limit, offset, &overlay, ret, err);
        drop_unrecorded(&unrecorded);
        for (size_t i = 0; r == 0 && i < ret->n; i++)
                if (!workload_status_is_end(ret->items[i].status))
                        show_live(e, &ret->items[i], status >= 0);
        return r;
}

int engine_stats(struct engine *e, struct workload_stats *ret, struct err *err)
{
        struct store_overlay overlay;
        struct unrecorded unrecorded;
        int r = take_unrecorded(&e->jobs, &unrecorded, err);

        overlay = (struct store_overlay){unrecorded.records, unrecorded.n};
        if (r == 0)
                r = record_stats(e->config.store, &overlay, ret, err);
        drop_unrecorded(&unrecorded);
        return r;
}

uint64_t engine_deletions(struct engine *e)
{
        return e->config.store ? store_deletions(e->config.store) : 0;
}

/* ---- counts ---- */

int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret)
{
        if (i >= e->config.n_backends)
                return -ERANGE;
        e->config.backends[i]->ops->capabilities(e->config.backends[i], ret);
        return 0;
}

void engine_counts(struct engine *e, struct engine_counts *ret)
{
        const struct admission *a = &e->dispatch.admission;

        pthread_mutex_lock(&e->jobs.lock);
        *ret = (struct engine_counts){
                .accepted = e->jobs.accepted,
                .queue = a->n_waiting,
                .queue_limit = a->max_queue,
                .vms = a->n_vms,
                .vms_limit = a->max_vms,
                .memory_mb = a->memory_mb,
                .memory_limit_mb = a->max_memory_mb,
                .unrecorded = e->jobs.by_state[JOB_UNRECORDED],
                .interrupted = e->config.store ? store_interrupted(e->config.store) : 0,
        };
        memcpy(ret->by_status, e->jobs.ended, sizeof(ret->by_status));
        ret->by_status[WORKLOAD_PENDING] = jobs_pending(&e->jobs);
        ret->by_status[WORKLOAD_RUNNING] = e->jobs.by_state[JOB_RUNNING];
        pthread_mutex_unlock(&e->jobs.lock);
}

unsigned engine_retry_after_s(struct engine *e)
{
        uint64_t ns;

        pthread_mutex_lock(&e->jobs.lock);
        ns = dispatch_expected_wait_ns(&e->dispatch);
        pthread_mutex_unlock(&e->jobs.lock);
        if (ns >= ENGINE_RETRY_MAX_S * NS_PER_S)
                return ENGINE_RETRY_MAX_S;
        return ns < NS_PER_S ? 1 : (unsigned)((ns + NS_PER_S - 1) / NS_PER_S);
}
