/* SPDX-License-Identifier: Apache-2.0 */
/* What engine.c (orders, looking, killing), life.c (workers, the life of one job), later.c (ends that
 * are not written down yet) and stop.c (the engine's end) share. Private. */
#pragma once

#include "engine/admission.h"
#include "engine/engine.h"
#include "engine/metrics.h"
#include "engine/record.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
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
        struct output_log *log; /* from acceptance to its end; NULL: none */
        atomic_bool killed;
        bool coming; /* is being written down as accepted: known to those who kill, to no one else */
        bool gone;   /* that failed: it was not accepted */
        bool queued;  /* waits for admission or for a worker; otherwise some thread runs it */
        bool over;    /* its status is an end */
        bool stopped; /* it is engine_stop() that killed it */
        bool later;   /* over, and counted in engine.n_later */
        bool refused; /* later.c: the store refused its end, not only for now */
        struct admission_item admission;
        uint64_t accepted_ns, began_ns;
        struct workload ended; /* the record to come; borrows what record owns */
        struct store_op end;   /* its write, under way */
        unsigned rounds;       /* of trying to write its end down later */
        unsigned refs;         /* the table's, and one for each caller that looks at it */
        struct job *next;      /* in its bucket of engine.table */
        TAILQ_ENTRY(job) at;   /* in engine.ready, engine.running or a list of those to be killed */
};

TAILQ_HEAD(job_list, job);

#define JOB_OF(item) ((struct job *)((char *)(item)-offsetof(struct job, admission)))

struct engine {
        struct engine_config config;
        const char *isolations[ENGINE_BACKENDS_MAX];
        struct engine_metrics metrics;
        atomic_bool store_refuses; /* the last order could not be written down; this was said */

        pthread_mutex_t lock; /* guards all below; never held across I/O, backend or store */
        pthread_cond_t work;  /* something is ready, or workers shall end */
        pthread_cond_t moved; /* a job is over or gone */
        struct admission admission;
        struct job_list ready; /* let in, waiting for a worker */
        struct job_list later; /* over, and not written down yet: later.c */
        size_t n_later;        /* of these, and of those that are being tried */
        bool has_keeper;
        pthread_t keeper;        /* who tries that again */
        struct job_list running; /* with a thread, from its beginning until it is over */
        struct job **table;      /* by id, from its reservation until its end is written down */
        size_t n_buckets;        /* power of two */
        size_t n_jobs;           /* accepted or being accepted, until ended() has returned */
        uint64_t accepted, by_status[WORKLOAD_STATUS_COUNT];
        uint64_t mean_run_ns; /* moving average of those that ran; 0: none yet */
        bool draining;        /* no new ones are taken */
        bool stopping;        /* and those that are there are killed */
        bool quit;
        int idle_fd; /* eventfd: readable when draining and no job is left */
        pthread_t *workers;
        unsigned n_workers, max_workers, n_idle, n_ready;
};

/* ---- engine.c ---- */

/* With the lock. */
void engine_untable(struct engine *e, struct job *job);
struct job *engine_find_job(struct engine *e, const char *id);
struct job **engine_bucket_of(struct engine *e, const char *id);
void engine_unref_job(struct engine *e, struct job *job);

/* ---- life.c ---- */

/* With the lock: lets in what fits and finds workers for it. */
void engine_dispatch(struct engine *e);

/* With the lock: puts a job that was let in before a worker. */
void engine_make_ready(struct engine *e, struct job *job);

/* With the lock: a worker more where too few are idle. Fails only where there is none at all. */
int engine_ensure_worker(struct engine *e, struct err *err);

/* With the lock: takes a job that waits out of all lists and makes it one that is run. */
void engine_unqueue(struct engine *e, struct job *job);

/* With the lock: says so where nothing is left of what is drained. */
void engine_note_idle(struct engine *e);

/* Runs a job that is in `running` from beginning to end, on this thread. */
void engine_run_job(struct engine *e, struct job *job);

/* The same in two halves, so that many can share one wait for the store. */
void engine_run_start(struct engine *e, struct job *job);
void engine_run_finish(struct engine *e, struct job *job);

/* The end of a job that is over and needs nothing any more. */
void engine_forget(struct engine *e, struct job *job);

/* ---- journal.c ---- */

void engine_log_accepted(const struct job *job);
void engine_log_begun(const struct job *job);
void engine_log_kill(const struct job *job);
void engine_log_ended(const struct engine *e, const struct job *job);

/* ---- later.c ---- */

/* Keeps a job that is over until its end has been written down, then forgets it. `refused`: the
 * store said that it will not take it, rather than not now. */
void engine_write_later(struct engine *e, struct job *job, bool refused);
void engine_later_release(struct engine *e);
