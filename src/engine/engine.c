/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/record.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/queue.h>

/*
 * One accepted workload. Guarded by the engine's lock, but for: `record`, which only the thread
 * that runs the job changes, under `lock`; `killed`; and what does not change: id, backend, sink.
 */
struct job {
        char id[ULID_LEN + 1];
        struct backend *backend;
        struct workload_spec spec;
        struct engine_sink sink;
        pthread_mutex_t lock; /* guards changes of record; taken after the engine's lock if both */
        struct workload record;
        atomic_bool killed;
        bool queued;         /* waits in engine.waiting; otherwise some thread runs it */
        bool over;           /* its status is an end */
        unsigned refs;       /* the table's, and one for each caller that looks at it */
        struct job *next;    /* in its bucket of engine.table */
        TAILQ_ENTRY(job) at; /* in engine.waiting or engine.running */
};

TAILQ_HEAD(job_list, job);

struct engine {
        struct engine_config config;
        const char *isolations[ENGINE_BACKENDS_MAX];

        pthread_mutex_t lock; /* guards all below; never held across I/O, backend or store */
        pthread_cond_t work;  /* something waits, or workers shall end */
        pthread_cond_t moved; /* a job is over or gone */
        struct job_list waiting, running;
        struct job **table; /* by id, from submit until ended() has returned */
        size_t n_buckets;   /* power of two */
        size_t n_live;      /* accepted or being accepted, and not over: what admission bounds */
        size_t n_jobs;      /* the same, until ended() has returned */
        bool stopping, quit;
        pthread_t *workers;
        unsigned n_workers;
};

/* ---- table and references ---- */

static struct job **bucket_of(struct engine *e, const char *id)
{
        uint32_t h = 2166136261u; /* FNV-1a */

        for (; *id; id++)
                h = (h ^ (unsigned char)*id) * 16777619u;
        return &e->table[h & (e->n_buckets - 1)];
}

/* With the lock. */
static struct job *find_job(struct engine *e, const char *id)
{
        struct job *job = *bucket_of(e, id);

        while (job && strcmp(job->id, id) != 0)
                job = job->next;
        return job;
}

static struct job *ref_job(struct engine *e, const char *id)
{
        struct job *job;

        pthread_mutex_lock(&e->lock);
        job = find_job(e, id);
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

static void unref_job(struct engine *e, struct job *job)
{
        bool last;

        pthread_mutex_lock(&e->lock);
        last = --job->refs == 0;
        pthread_mutex_unlock(&e->lock);
        if (last)
                free_job(job);
}

/* ---- the life of one job, on the thread that runs it ---- */

/*
 * The one place that moves a workload from a status to another. The store knows first: what a
 * client was told survives a crash. An `outcome` belongs to a move to an end.
 */
static void engine_move(struct engine *e, struct job *job, enum workload_status to,
                        const struct workload_outcome *outcome)
{
        struct workload next = job->record;

        assert(workload_may_move(next.status, to));
        next.status = to;
        if (to == WORKLOAD_RUNNING)
                next.started_ms = clock_wall_ms();
        if (workload_status_is_end(to))
                next.finished_ms = clock_wall_ms();
        if (outcome)
                next.outcome = *outcome;
        record_update(e->config.store, &next);

        pthread_mutex_lock(&job->lock);
        job->record = next;
        pthread_mutex_unlock(&job->lock);
}

static void on_booting(void *ctx)
{
        struct job *job = ctx;

        if (job->sink.booting)
                job->sink.booting(job->sink.ctx);
}

static void on_ready(void *ctx)
{
        struct job *job = ctx;

        if (job->sink.ready)
                job->sink.ready(job->sink.ctx);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct job *job = ctx;
        struct buf *output = &job->record.output;
        size_t room;

        pthread_mutex_lock(&job->lock);
        room = output->max - output->len;
        if (room)
                buf_add(output, bytes, n < room ? n : room);
        pthread_mutex_unlock(&job->lock);
        return job->sink.output ? job->sink.output(job->sink.ctx, stream, bytes, n) : 0;
}

static void execute_job(struct engine *e, struct job *job, struct workload_outcome *ret)
{
        struct backend_task task = {
                .spec = &job->spec,
                .sink = {on_booting, on_ready, on_output, job},
                .killed = &job->killed,
        };
        bool began = !atomic_load(&job->killed);

        *ret = (struct workload_outcome){.exit_code = -1};
        memcpy(task.id, job->id, sizeof(task.id));
        if (began)
                engine_move(e, job, WORKLOAD_RUNNING, NULL);
        job->backend->ops->execute(job->backend, &task, ret);

        if (!began) {
                ret->status = WORKLOAD_KILLED;
                snprintf(ret->error, sizeof(ret->error), "killed before it began");
        } else if (!workload_status_is_end(ret->status)) {
                ret->status = WORKLOAD_FAILED;
                snprintf(ret->error, sizeof(ret->error), "the backend did not say how it ended");
        }
}

/* Runs a job that was taken from the queue (or never was in it) to its end. */
static void run_job(struct engine *e, struct job *job)
{
        struct workload_outcome outcome;
        struct job **link;

        execute_job(e, job, &outcome);
        workload_spec_release(&job->spec); /* code and standard input are of no use any more */
        engine_move(e, job, outcome.status, &outcome);

        pthread_mutex_lock(&e->lock);
        job->over = true;
        e->n_live--;
        TAILQ_REMOVE(&e->running, job, at);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);

        if (job->sink.ended)
                job->sink.ended(job->sink.ctx, &job->record);

        pthread_mutex_lock(&e->lock);
        for (link = bucket_of(e, job->id); *link != job; link = &(*link)->next)
                ;
        *link = job->next;
        e->n_jobs--;
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
        unref_job(e, job);
}

static void *work(void *arg)
{
        struct engine *e = arg;

        pthread_mutex_lock(&e->lock);
        for (;;) {
                struct job *job = TAILQ_FIRST(&e->waiting);

                if (job) {
                        TAILQ_REMOVE(&e->waiting, job, at);
                        TAILQ_INSERT_TAIL(&e->running, job, at);
                        job->queued = false;
                        pthread_mutex_unlock(&e->lock);
                        run_job(e, job);
                        pthread_mutex_lock(&e->lock);
                } else if (e->quit) {
                        break;
                } else {
                        pthread_cond_wait(&e->work, &e->lock);
                }
        }
        pthread_mutex_unlock(&e->lock);
        return NULL;
}

/*
 * With the lock: one worker for each job, up to the bound; they stay. Signals are for the program's
 * own threads. Fails only where there is no worker at all.
 */
static int ensure_worker(struct engine *e, struct err *err)
{
        sigset_t all, was;
        int r;

        if (e->n_workers >= e->config.max_vms || e->n_workers >= e->n_jobs)
                return 0;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &was);
        r = pthread_create(&e->workers[e->n_workers], NULL, work, e);
        pthread_sigmask(SIG_SETMASK, &was, NULL);
        if (r == 0)
                e->n_workers++;
        else if (e->n_workers == 0)
                return err_set(err, r, "cannot start a worker thread: %s", strerror(r));
        return 0;
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
        w->status = WORKLOAD_PENDING;
        memcpy(w->runtime, spec->runtime, sizeof(w->runtime));
        snprintf(w->isolation, sizeof(w->isolation), "%s", e->isolations[backend]);
        memcpy(w->node_id, e->config.node_id, sizeof(w->node_id));
        w->network = spec->network;
        w->limits = spec->limits;
        w->output = BUF_INIT(e->config.output_record_max);
        w->created_ms = clock_wall_ms();
        *ret = job;
        return 0;
}

/* Reserves a place, so that the store can be written without the lock and without overbooking. */
static int reserve(struct engine *e, struct err *err)
{
        size_t max = (size_t)e->config.max_vms + e->config.max_queue;
        int r = 0;

        pthread_mutex_lock(&e->lock);
        if (e->stopping) {
                r = err_set(err, ESHUTDOWN, "stopping: no new workloads are taken");
        } else if (e->n_live >= max) {
                r = err_set(err, EAGAIN, "full: %u workloads run and %u wait; try again later",
                            e->config.max_vms, e->config.max_queue);
        } else {
                e->n_jobs++;
                r = ensure_worker(e, err);
                if (r < 0)
                        e->n_jobs--;
                else
                        e->n_live++;
        }
        pthread_mutex_unlock(&e->lock);
        return r;
}

static void unreserve(struct engine *e)
{
        pthread_mutex_lock(&e->lock);
        e->n_live--;
        e->n_jobs--;
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->lock);
}

/* Makes the job known and queues it. The engine may have begun to stop meanwhile: then it is
 * killed. */
static void enqueue(struct engine *e, struct job *job)
{
        struct job **bucket;
        bool queued;

        pthread_mutex_lock(&e->lock);
        bucket = bucket_of(e, job->id);
        job->next = *bucket;
        *bucket = job;
        queued = job->queued = !e->stopping;
        if (queued) {
                TAILQ_INSERT_TAIL(&e->waiting, job, at);
                pthread_cond_signal(&e->work);
        } else {
                TAILQ_INSERT_TAIL(&e->running, job, at);
                atomic_store(&job->killed, true);
        }
        pthread_mutex_unlock(&e->lock);
        if (!queued)
                run_job(e, job);
}

int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err)
{
        struct workload_spec resolved = *spec; /* only its limits and words are changed */
        struct job *job = NULL;
        size_t backend = 0;
        int r;

        r = workload_spec_check(spec, err);
        if (r == 0)
                r = choose_backend(e, isolation, &resolved, &backend, err);
        if (r == 0)
                r = reserve(e, err);
        if (r < 0)
                return r;
        r = new_job(e, &resolved, backend, sink, &job, err);
        if (r < 0) {
                unreserve(e);
                return r;
        }
        assert(job);
        r = record_insert(e->config.store, &job->record, err);
        if (r < 0) {
                job->spec = WORKLOAD_SPEC_INIT; /* still the caller's */
                free_job(job);
                unreserve(e);
                return r;
        }
        *spec = WORKLOAD_SPEC_INIT;
        memcpy(ret_id, job->id, ULID_LEN + 1);
        enqueue(e, job);
        return 0;
}

/* ---- look, kill, stop ---- */

/* A copy that owns its output. */
static int copy_record(struct job *job, struct workload *ret, struct err *err)
{
        struct buf output;
        int r;

        pthread_mutex_lock(&job->lock);
        output = BUF_INIT(job->record.output.max);
        r = buf_add(&output, job->record.output.data, job->record.output.len);
        if (r == 0) {
                *ret = job->record;
                ret->output = output;
        }
        pthread_mutex_unlock(&job->lock);
        return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

int engine_get(struct engine *e, const char *id, struct workload *ret, struct err *err)
{
        struct job *job = ref_job(e, id);
        int r;

        if (!job)
                return record_get(e->config.store, id, ret, err);
        r = copy_record(job, ret, err);
        unref_job(e, job);
        return r;
}

/*
 * Ends a job that the caller holds. The order is what makes it certain: the flag is set before
 * cleanup() looks for the workload, and execute() looks at the flag after it has made itself known.
 */
static void kill_job(struct engine *e, struct job *job)
{
        bool was_queued, was_killed;

        pthread_mutex_lock(&e->lock);
        was_queued = job->queued;
        was_killed = atomic_exchange(&job->killed, true);
        if (was_queued) {
                job->queued = false;
                TAILQ_REMOVE(&e->waiting, job, at);
                TAILQ_INSERT_TAIL(&e->running, job, at);
        }
        if (!was_killed && !job->over && job->sink.interrupt)
                job->sink.interrupt(job->sink.ctx);
        pthread_mutex_unlock(&e->lock);

        if (was_queued)
                run_job(e, job);
        else
                job->backend->ops->cleanup(job->backend, job->id);
}

int engine_kill(struct engine *e, const char *id, struct err *err)
{
        struct job *job = ref_job(e, id);
        struct workload ended = {0};
        enum workload_status status;
        bool was_over;
        int r;

        if (!job) {
                r = record_get(e->config.store, id, &ended, err);
                status = ended.status;
                workload_release(&ended);
                return r < 0 ? r
                             : err_set(err, EALREADY, "workload %s has ended already: %s", id,
                                       workload_status_name(status));
        }
        pthread_mutex_lock(&e->lock);
        was_over = job->over;
        pthread_mutex_unlock(&e->lock);
        if (!was_over)
                kill_job(e, job);

        pthread_mutex_lock(&e->lock);
        while (!job->over)
                pthread_cond_wait(&e->moved, &e->lock);
        pthread_mutex_unlock(&e->lock);
        status = job->record.status; /* does not change any more */
        unref_job(e, job);
        if (!was_over && status == WORKLOAD_KILLED)
                return 0;
        return err_set(err, EALREADY, "workload %s has ended already: %s", id,
                       workload_status_name(status));
}

/* With the lock: a referenced job that nobody has killed yet, or NULL. */
static struct job *pick_victim(struct engine *e)
{
        struct job *job = TAILQ_FIRST(&e->waiting);

        if (!job) {
                TAILQ_FOREACH(job, &e->running, at)
                {
                        if (!atomic_load(&job->killed))
                                break;
                }
        }
        if (job)
                job->refs++;
        return job;
}

void engine_stop(struct engine *e)
{
        struct job *job;

        pthread_mutex_lock(&e->lock);
        e->stopping = true;
        while ((job = pick_victim(e)) != NULL) {
                pthread_mutex_unlock(&e->lock);
                kill_job(e, job);
                unref_job(e, job);
                pthread_mutex_lock(&e->lock);
        }
        while (e->n_jobs > 0)
                pthread_cond_wait(&e->moved, &e->lock);
        pthread_mutex_unlock(&e->lock);
}

/* ---- the engine itself ---- */

int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret)
{
        if (i >= e->config.n_backends)
                return -ERANGE;
        e->config.backends[i]->ops->capabilities(e->config.backends[i], ret);
        return 0;
}

static void free_backends(const struct engine_config *c)
{
        for (size_t i = 0; i < c->n_backends; i++)
                backend_free(c->backends[i]);
}

static void release_engine(struct engine *e)
{
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

int engine_new(const struct engine_config *config, struct engine **ret, struct err *err)
{
        struct backend_capabilities caps;
        struct engine *e;
        int r;

        assert(config->n_backends >= 1 && config->n_backends <= ENGINE_BACKENDS_MAX);
        r = check_config(config, err);
        e = r == 0 ? calloc(1, sizeof(*e)) : NULL;
        if (!e) {
                free_backends(config);
                return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
        }
        e->config = *config;
        pthread_mutex_init(&e->lock, NULL);
        pthread_cond_init(&e->work, NULL);
        pthread_cond_init(&e->moved, NULL);
        TAILQ_INIT(&e->waiting);
        TAILQ_INIT(&e->running);
        for (size_t i = 0; i < config->n_backends; i++) {
                config->backends[i]->ops->capabilities(config->backends[i], &caps);
                e->isolations[i] = caps.isolation;
        }
        e->n_buckets = 16;
        while (e->n_buckets < (size_t)config->max_vms + config->max_queue)
                e->n_buckets *= 2;
        e->table = calloc(e->n_buckets, sizeof(*e->table));
        e->workers = calloc(config->max_vms, sizeof(*e->workers));
        if (!e->table || !e->workers) {
                release_engine(e);
                return err_set(err, ENOMEM, "out of memory");
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
        pthread_mutex_unlock(&e->lock);
        for (unsigned i = 0; i < e->n_workers; i++)
                pthread_join(e->workers[i], NULL);
        release_engine(e);
}
