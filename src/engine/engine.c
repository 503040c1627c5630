/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "output/output.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

enum { STREAMS_SLACK = 16 /* a run is longer for a moment than the output it is of */ };
enum { WORKERS_SPARE = 16 }; /* threads beyond the VMs: for ends that are being written down */

/* ---- table and references ---- */

struct job **engine_bucket_of(struct engine *e, const char *id)
{
        uint32_t h = 2166136261u; /* FNV-1a */

        for (; *id; id++)
                h = (h ^ (unsigned char)*id) * 16777619u;
        return &e->table[h & (e->n_buckets - 1)];
}

struct job *engine_find_job(struct engine *e, const char *id)
{
        struct job *job = *engine_bucket_of(e, id);

        while (job && strcmp(job->id, id) != 0)
                job = job->next;
        return job;
}

void engine_untable(struct engine *e, struct job *job)
{
        struct job **link = engine_bucket_of(e, job->id);

        while (*link != job)
                link = &(*link)->next;
        *link = job->next;
}

/* `coming`: also one that is being written down as accepted. */
static struct job *ref_job(struct engine *e, const char *id, bool coming)
{
        struct job *job;

        pthread_mutex_lock(&e->lock);
        job = engine_find_job(e, id);
        if (job && job->coming && !coming)
                job = NULL;
        if (job)
                job->refs++;
        pthread_mutex_unlock(&e->lock);
        return job;
}

static void free_job(struct job *job)
{
        workload_spec_release(&job->spec);
        workload_release(&job->record);
        pthread_mutex_destroy(&job->lock);
        free(job);
}

void engine_unref_job(struct engine *e, struct job *job)
{
        bool last;

        pthread_mutex_lock(&e->lock);
        last = --job->refs == 0;
        pthread_mutex_unlock(&e->lock);
        if (last)
                free_job(job);
}

/* ---- submit ---- */

/* Asks the backends of this isolation, in their order, for the runtime. */
static int choose_backend(struct engine *e, const char *isolation, struct workload_spec *spec,
                          size_t *ret, struct err *err)
{
        bool any = strcmp(isolation, "auto") == 0;
        int r = -EOPNOTSUPP;
        char there_are[128] = "auto";

        for (size_t i = 0; i < e->config.n_backends; i++) {
                struct backend *b = e->config.backends[i];
                size_t n = strlen(there_are);

                snprintf(there_are + n, sizeof(there_are) - n, ", %s", e->isolations[i]);
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
                               isolation, there_are);
        return r;
}

static int new_job(struct engine *e, const struct workload_spec *spec, size_t backend,
                   const struct engine_sink *sink, struct job **ret, struct err *err)
{
        struct job *job = calloc(1, sizeof(*job));
        struct workload *w;
        int r;

        if (!job)
                return err_set(err, ENOMEM, "out of memory");
        w = &job->record;
        r = ulid_new(w->id, err);
        if (r < 0) {
                free(job);
                return r;
        }
        pthread_mutex_init(&job->lock, NULL);
        memcpy(job->id, w->id, sizeof(job->id));
        job->backend = e->config.backends[backend];
        job->spec = *spec;
        if (sink)
                job->sink = *sink;
        job->refs = 1;
        job->admission.mem_mb = spec->limits.mem_mb;
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
 * A place for it: a VM and its memory, or one in the queue. So the store can be written without the
 * lock and without overbooking. And one in the table: whoever reads its id in the store, a moment
 * before it is queued, can kill it.
 */
static int reserve(struct engine *e, struct job *job, struct err *err)
{
        int r = 0;

        pthread_mutex_lock(&e->lock);
        if (e->draining) {
                r = err_set(err, ESHUTDOWN, "stopping: no new workloads are taken");
        } else if (!admission_reserve(&e->admission, &job->admission)) {
                r = err_set(err, EAGAIN, "full: %u workloads run and %zu wait", e->admission.n_vms,
                            e->admission.n_waiting);
        } else {
                e->n_jobs++;
                r = engine_ensure_worker(e, err);
                if (r < 0) {
                        admission_cancel(&e->admission, &job->admission);
                        e->n_jobs--;
                } else {
                        struct job **bucket = engine_bucket_of(e, job->id);

                        job->coming = true;
                        job->next = *bucket;
                        *bucket = job;
                }
        }
        pthread_mutex_unlock(&e->lock);
        return r;
}

static void unreserve(struct engine *e, struct job *job)
{
        pthread_mutex_lock(&e->lock);
        engine_untable(e, job);
        job->gone = true;
        admission_cancel(&e->admission, &job->admission);
        engine_dispatch(e);
        e->n_jobs--;
        engine_note_idle(e);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
}

/* Queues what has been written down. It may have been killed meanwhile, or the engine begun to stop:
 * then it ends here. */
static void enqueue(struct engine *e, struct job *job)
{
        bool killed;

        pthread_mutex_lock(&e->lock);
        job->coming = false;
        e->accepted++;
        e->by_status[WORKLOAD_PENDING]++;
        job->accepted_ns = clock_ns();
        killed = e->stopping || atomic_load(&job->killed);
        if (killed) {
                admission_cancel(&e->admission, &job->admission);
                engine_dispatch(e);
                TAILQ_INSERT_TAIL(&e->running, job, at);
                job->stopped = !atomic_exchange(&job->killed, true);
        } else {
                job->queued = true;
                if (job->admission.charged)
                        engine_make_ready(e, job);
                else
                        admission_arrive(&e->admission, &job->admission);
                engine_dispatch(e);
        }
        pthread_mutex_unlock(&e->lock);
        if (killed)
                engine_run_job(e, job);
}

/* An order that cannot be meant, or cannot be met by this engine at any time. */
static int check_order(struct engine *e, struct workload_spec *spec, const char *isolation,
                       size_t *ret_backend, enum engine_reject *why, struct err *err)
{
        int r = workload_spec_check(spec, err);

        *why = ENGINE_REJECT_INVALID;
        if (r == 0)
                r = choose_backend(e, isolation, spec, ret_backend, err);
        if (r == 0 && !admission_could_fit(&e->admission, spec->limits.mem_mb)) {
                *why = ENGINE_REJECT_TOO_LARGE;
                r = err_set(err, EINVAL,
                            "resources.mem_mb: %u MiB is more than all workloads may have "
                            "together here (max_memory_mb = %llu)",
                            spec->limits.mem_mb, (unsigned long long)e->admission.max_memory_mb);
        }
        return r;
}

static enum engine_reject reject_of(int r)
{
        return r == -ESHUTDOWN ? ENGINE_REJECT_STOPPING
               : r == -EAGAIN  ? ENGINE_REJECT_QUEUE_FULL
                               : ENGINE_REJECT_INTERNAL;
}

/* From a sound order to a job that is written down; else the spec is still the caller's. */
static int accept_order(struct engine *e, const struct workload_spec *spec, size_t backend,
                        const struct engine_sink *sink, struct job **ret, enum engine_reject *why,
                        struct err *err)
{
        struct job *job = NULL;
        int r = new_job(e, spec, backend, sink, &job, err);

        *why = ENGINE_REJECT_INTERNAL;
        if (r < 0)
                return r;
        assert(job);
        r = reserve(e, job, err);
        *why = reject_of(r);
        /* First the log: who finds the record finds that the workload has one. */
        if (r == 0 && e->config.output)
                job->log = output_log_begin(e->config.output, job->id);
        if (r == 0 && (r = record_insert(e->config.store, &job->record, err)) < 0) {
                *why = ENGINE_REJECT_STORE;
                if (!atomic_exchange(&e->store_refuses, true))
                        log_error("orders are refused: %s", err->msg);
                output_log_abandon(&job->log);
                unreserve(e, job);
        }
        if (r < 0) {
                job->spec = WORKLOAD_SPEC_INIT;
                engine_unref_job(e, job); /* one who wants to kill it may still look at it */
                return r;
        }
        if (atomic_load(&e->store_refuses) && atomic_exchange(&e->store_refuses, false))
                log_warn("orders are taken again");
        engine_log_accepted(job);
        *ret = job;
        return 0;
}

int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err)
{
        struct workload_spec resolved = *spec; /* only its limits are changed */
        enum engine_reject why;
        struct job *job = NULL;
        struct err unheard;
        size_t backend = 0;
        int r;

        err = err ? err : &unheard;
        resolved.fetch_max = e->config.fetch_max;
        r = check_order(e, &resolved, isolation, &backend, &why, err);
        if (r < 0 || (r = accept_order(e, &resolved, backend, sink, &job, &why, err)) < 0) {
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

/* ---- look, kill ---- */

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
        struct job *job = ref_job(e, id, false);
        int r;

        if (!job)
                return record_get(e->config.store, id, ret, err);
        r = copy_record(job, ret, err);
        engine_unref_job(e, job);
        return r;
}

/*
 * The order is what makes it certain: the flag is set before stop() looks for the workload, and
 * execute() looks at the flag after it has made itself known. One that waits has the flag, too, and
 * begins nothing any more.
 */
struct job *engine_kill_tell(struct engine *e, const char *id)
{
        struct job *job = ref_job(e, id, true);
        bool was_over, was_killed = true;

        if (!job)
                return NULL;
        pthread_mutex_lock(&e->lock);
        was_over = job->over;
        if (!was_over)
                was_killed = atomic_exchange(&job->killed, true);
        if (!was_killed && job->sink.interrupt)
                job->sink.interrupt(job->sink.ctx);
        pthread_mutex_unlock(&e->lock);
        if (was_over) {
                engine_unref_job(e, job);
                return NULL;
        }
        if (!was_killed) {
                job->backend->ops->stop(job->backend, job->id);
                engine_log_kill(job);
        }
        return job;
}

/* Ends a job that was told to, on this thread if it still waits. */
static void end_killed(struct engine *e, struct job *job)
{
        bool was_queued, was_coming;

        pthread_mutex_lock(&e->lock);
        was_queued = job->queued;
        was_coming = job->coming; /* then enqueue() ends it */
        if (was_queued) {
                engine_unqueue(e, job);
                engine_dispatch(e);
        }
        pthread_mutex_unlock(&e->lock);

        if (was_queued)
                engine_run_job(e, job);
        else if (!was_coming)
                job->backend->ops->cleanup(job->backend, job->id);
}

static int err_ended(const char *id, enum workload_status status, struct err *err)
{
        return err_set(err, EALREADY, "workload %s has ended already: %s", id,
                       workload_status_name(status));
}

int engine_kill_wait(struct engine *e, const char *id, struct job *told, struct err *err)
{
        struct workload ended = {0};
        enum workload_status status;
        bool gone;
        int r;

        if (!told) {
                r = engine_get(e, id, &ended, err);
                status = ended.status;
                workload_release(&ended);
                return r < 0 ? r : err_ended(id, status, err);
        }
        end_killed(e, told);
        pthread_mutex_lock(&e->lock);
        while (!told->over && !told->gone)
                pthread_cond_wait(&e->moved, &e->lock);
        gone = told->gone;
        pthread_mutex_unlock(&e->lock);
        status = told->record.status; /* does not change any more */
        engine_unref_job(e, told);
        if (gone)
                return err_set(err, ENOENT, "no workload %s", id);
        return status == WORKLOAD_KILLED ? 0 : err_ended(id, status, err);
}

int engine_kill(struct engine *e, const char *id, struct err *err)
{
        return engine_kill_wait(e, id, engine_kill_tell(e, id), err);
}

/* ---- the engine itself ---- */

int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret)
{
        if (i >= e->config.n_backends)
                return -ERANGE;
        e->config.backends[i]->ops->capabilities(e->config.backends[i], ret);
        return 0;
}

void engine_counts(struct engine *e, struct engine_counts *ret)
{
        pthread_mutex_lock(&e->lock);
        *ret = (struct engine_counts){
                .accepted = e->accepted,
                .queue = e->admission.n_waiting,
                .queue_limit = e->admission.max_queue,
                .vms = e->admission.n_vms,
                .vms_limit = e->admission.max_vms,
                .memory_mb = e->admission.memory_mb,
                .memory_limit_mb = e->admission.max_memory_mb,
                .unrecorded = e->n_later,
                .interrupted = e->config.store ? store_interrupted(e->config.store) : 0,
        };
        memcpy(ret->by_status, e->by_status, sizeof(ret->by_status));
        pthread_mutex_unlock(&e->lock);
}

/* With the lock: until the first time limit of those that run, by which a place is free at the latest;
 * as long as the default limit where none has begun. They are max_vms at most. */
static uint64_t until_first_limit(struct engine *e)
{
        uint64_t now = clock_ns(), least = WORKLOAD_TIMEOUT_S * NS_PER_S;
        const struct job *job;

        TAILQ_FOREACH(job, &e->running, at)
        {
                unsigned limit_s = job->spec.limits.timeout_s;
                uint64_t ran = job->began_ns ? now - job->began_ns : 0;
                uint64_t limit = (limit_s ? limit_s : WORKLOAD_TIMEOUT_S) * NS_PER_S;

                if (limit <= ran)
                        return 0; /* it is about to be ended */
                if (limit - ran < least)
                        least = limit - ran;
        }
        return least;
}

/* A place comes free when the next workload ends: as long as one takes on average, shared by those
 * that run. Where none has ended yet there is no average, and the limits are all that is known. */
unsigned engine_retry_after_s(struct engine *e)
{
        uint64_t ns;

        pthread_mutex_lock(&e->lock);
        ns = e->mean_run_ns ? e->mean_run_ns / (e->admission.n_vms ? e->admission.n_vms : 1)
                            : until_first_limit(e);
        pthread_mutex_unlock(&e->lock);
        if (ns >= ENGINE_RETRY_MAX_S * NS_PER_S)
                return ENGINE_RETRY_MAX_S;
        return ns < NS_PER_S ? 1 : (unsigned)((ns + NS_PER_S - 1) / NS_PER_S);
}

static void free_backends(const struct engine_config *c)
{
        for (size_t i = 0; i < c->n_backends; i++)
                backend_free(c->backends[i]);
}

static void release_engine(struct engine *e)
{
        engine_metrics_release(&e->metrics);
        close_fd(&e->idle_fd);
        free_backends(&e->config);
        free(e->table);
        free(e->workers);
        pthread_cond_destroy(&e->work);
        pthread_cond_destroy(&e->moved);
        pthread_mutex_destroy(&e->lock);
        free(e);
}

static int check_config(const struct engine_config *c, struct err *err)
{
        if (c->max_vms < 1 || c->max_vms > ENGINE_VMS_MAX)
                return err_set(err, EINVAL, "max_vms: %u is not between 1 and %d", c->max_vms,
                               ENGINE_VMS_MAX);
        if (c->max_queue > ENGINE_QUEUE_MAX)
                return err_set(err, EINVAL, "max_queue: %u is more than %d", c->max_queue,
                               ENGINE_QUEUE_MAX);
        return 0;
}

static int init_engine(struct engine *e, const struct engine_config *config, struct err *err)
{
        struct backend_capabilities caps;

        e->config = *config;
        pthread_mutex_init(&e->lock, NULL);
        pthread_cond_init(&e->work, NULL);
        pthread_cond_init(&e->moved, NULL);
        TAILQ_INIT(&e->ready);
        TAILQ_INIT(&e->running);
        TAILQ_INIT(&e->later);
        admission_init(&e->admission, config->max_vms, config->max_memory_mb, config->max_queue);
        e->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (e->idle_fd < 0)
                return err_errno(err, "eventfd");
        for (size_t i = 0; i < config->n_backends; i++) {
                config->backends[i]->ops->capabilities(config->backends[i], &caps);
                e->isolations[i] = caps.isolation;
        }
        e->n_buckets = 16;
        while (e->n_buckets < (size_t)config->max_vms + config->max_queue)
                e->n_buckets *= 2;
        e->table = calloc(e->n_buckets, sizeof(*e->table));
        e->max_workers = config->max_vms + WORKERS_SPARE;
        e->workers = calloc(e->max_workers, sizeof(*e->workers));
        if (!e->table || !e->workers)
                return err_set(err, ENOMEM, "out of memory");
        return engine_metrics_init(&e->metrics, config->registry, e, engine_counts, err);
}

int engine_new(const struct engine_config *config, struct engine **ret, struct err *err)
{
        struct engine *e;
        int r;

        assert(config->n_backends >= 1 && config->n_backends <= ENGINE_BACKENDS_MAX);
        r = check_config(config, err);
        e = r == 0 ? calloc(1, sizeof(*e)) : NULL;
        if (!e) {
                free_backends(config);
                return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
        }
        if ((r = init_engine(e, config, err)) < 0) {
                release_engine(e);
                return r;
        }
        *ret = e;
        return 0;
}

void engine_free(struct engine *e)
{
        if (!e)
                return;
        engine_stop(e);
        pthread_mutex_lock(&e->lock);
        e->quit = true;
        pthread_cond_broadcast(&e->work);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
        for (unsigned i = 0; i < e->n_workers; i++)
                pthread_join(e->workers[i], NULL);
        engine_later_release(e);
        release_engine(e);
}
