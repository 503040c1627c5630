/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: brings jobs from acceptance to a worker thread. A job waits in the admission queue for
 * a VM and memory (JOB_QUEUED), then in `ready` for a worker (JOB_READY). The thread that takes it
 * moves it to JOB_CLAIMED and into `running`, where it stays until it has ended.
 *
 * Worker threads are started as they are needed, up to max_threads, and live until JOBS_CLOSED.
 *
 * Thread rule: all functions are called with jobs.lock held, except dispatch_init(), _join() and
 * _release().
 */
#pragma once

#include "base/err.h"
#include "engine/admission.h"
#include "engine/job.h"

#include <pthread.h>
#include <stdint.h>

struct dispatch {
        struct jobs *jobs; /* their lock guards all below */
        struct admission admission;
        struct job_list ready;
        struct job_list running; /* JOB_CLAIMED and JOB_RUNNING */
        uint64_t mean_run_ns;    /* moving average of the workloads that ran; 0: none yet */
        pthread_cond_t work;     /* a job is ready, or the workers shall exit */
        void *(*worker)(void *ctx);
        void *ctx;
        pthread_t *threads;
        unsigned n_threads, max_threads, n_idle;
};

struct dispatch_config {
        unsigned max_vms, max_queue;
        uint64_t max_memory_mb; /* 0: unlimited */
        /* The body of a worker thread: runs jobs from dispatch_next() until that returns NULL. */
        void *(*worker)(void *ctx);
        void *ctx;
};

/* After a failure, too, dispatch_release() must be called. */
int dispatch_init(struct dispatch *d, struct jobs *jobs, const struct dispatch_config *config,
                  struct err *err);

/* Waits for the worker threads to exit; after jobs_enter(JOBS_CLOSED) and dispatch_wake(). */
void dispatch_join(struct dispatch *d);

/* Accepts a struct that is all zero. */
void dispatch_release(struct dispatch *d);

/* Wakes all idle workers. */
void dispatch_wake(struct dispatch *d);

/*
 * Reserves a slot for a job in JOB_ACCEPTING: a VM with its memory if both are free and nobody
 * waits, otherwise a place in the queue. Makes sure that there is a worker. -EAGAIN: the queue is
 * full.
 */
int dispatch_reserve(struct dispatch *d, struct job *job, struct err *err);

/* Gives back the slot of a job in JOB_ACCEPTING. */
void dispatch_cancel(struct dispatch *d, struct job *job);

/* Moves a job from JOB_ACCEPTING to JOB_QUEUED or JOB_READY. */
void dispatch_enqueue(struct dispatch *d, struct job *job);

/* Takes a job that is accepted and not claimed yet for the calling thread. It gives
 * back its slot. */
void dispatch_claim(struct dispatch *d, struct job *job);

/* The next ready job, claimed for the calling worker; waits for one. NULL: the worker
 * shall exit. */
struct job *dispatch_next(struct dispatch *d);

/* The first job that is queued, or else ready; NULL: none waits. */
struct job *dispatch_waiting(struct dispatch *d);

/* Gives back the slot of a claimed job whose VM is gone; it ran for `ran_ns` (0: it never ran). */
void dispatch_give_back(struct dispatch *d, struct job *job, uint64_t ran_ns);

/* Takes a claimed job out of `running`. */
void dispatch_retire(struct dispatch *d, struct job *job);

/* The time until a slot is expected to be free (engine_retry_after_s()). */
uint64_t dispatch_expected_wait_ns(const struct dispatch *d);
