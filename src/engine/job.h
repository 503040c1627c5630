/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job is one workload in the engine's memory, from the moment it has a slot until its completion
 * is recorded. `struct jobs` holds all jobs of an engine: the table by id, the counts, how far the
 * shutdown has progressed, and the engine's one lock.
 *
 *     ACCEPTING -> QUEUED -> READY -> CLAIMED -> RUNNING -> RECORDED or UNRECORDED -> FORGOTTEN
 *         |
 *         `-> REJECTED
 *
 * job.c has one table with every transition; jobs_move() asserts it. The status of the workload
 * follows from the state: pending up to CLAIMED, running in RUNNING, final after RUNNING.
 * A workload that is killed before it runs skips RUNNING.
 *
 * Locks: jobs.lock, then job.lock. Neither is held across I/O or a call into a backend or the
 * store. "With the lock" means that the caller holds jobs.lock; the other functions take it
 * themselves.
 *
 * Ownership: the table holds one reference to each job, jobs_find() returns another. The last
 * job_unref() frees the job.
 */
#pragma once

#include "backend/backend.h"
#include "base/err.h"
#include "base/idtable.h"
#include "base/ulid.h"
#include "engine/admission.h"
#include "engine/sink.h"
#include "store/store.h"
#include "workload/workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct output_log;

enum job_state {
        JOB_ACCEPTING,  /* has a slot; its record is being inserted into the store */
        JOB_REJECTED,   /* the insertion failed: it was not accepted */
        JOB_QUEUED,     /* waits for a VM or for memory */
        JOB_READY,      /* admitted; waits for a worker */
        JOB_CLAIMED,    /* a thread has taken it and brings it to its end */
        JOB_RUNNING,    /* the same, and its status is running */
        JOB_RECORDED,   /* its status is final and in the store; ended() is being called */
        JOB_UNRECORDED, /* its status is final; the store has not taken it yet: retry.h */
        JOB_FORGOTTEN,  /* out of the table: its completion is recorded, or was given up */
        JOB_STATE_COUNT
};

/* Guarded by jobs.lock, except where stated. id, backend and sink do not change. */
struct job {
        char id[ULID_LEN + 1];
        struct backend *backend;
        struct engine_sink sink;
        enum job_state state;
        bool killed_by_shutdown;
        struct backend_run run; /* marked killed with the lock; the backend needs no lock of ours */
        atomic_uint refs;
        struct idtable_entry by_id;
        TAILQ_ENTRY(job) at; /* READY, CLAIMED, RUNNING: dispatch.h; UNRECORDED: retry.h */
        TAILQ_ENTRY(job) in_unrecorded; /* jobs.unrecorded */
        struct admission_item admission;
        uint64_t accepted_ns;
        uint64_t began_ns; /* 0: it never ran */

        /* Used by the thread that submits the job, then by the one that has claimed it. */
        struct workload_spec spec;
        struct output_log *log;     /* from acceptance to the end; NULL: none */
        struct workload completion; /* the final record; borrows what `record` owns */
        struct store_op completing; /* the write of it, while under way */

        /* The claiming thread alone changes `record`, with `lock`; it reads it without. */
        pthread_mutex_t lock;
        struct workload record;

        /* Used by retry.c. */
        unsigned attempts; /* to record the completion, after the first */
        bool permanent;    /* the store's error is not expected to pass */
};

TAILQ_HEAD(job_list, job);

#define JOB_OF(item) ((struct job *)((char *)(item)-offsetof(struct job, admission)))

/* The phases of the engine's shutdown. It only advances. */
enum jobs_phase {
        JOBS_OPEN,
        JOBS_DRAINING, /* no new jobs are accepted */
        JOBS_STOPPING, /* and the existing ones are killed */
        JOBS_CLOSED,   /* none is left: the engine's threads exit */
};

struct jobs {
        pthread_mutex_t lock;   /* guards all below, and the jobs */
        pthread_cond_t changed; /* a job is over, removed or to be retried; a phase began */
        struct idtable table;
        struct job_list unrecorded;            /* JOB_UNRECORDED, by `in_unrecorded` */
        size_t by_state[JOB_STATE_COUNT];      /* now; REJECTED and FORGOTTEN: ever */
        uint64_t accepted;                     /* ever */
        uint64_t ended[WORKLOAD_STATUS_COUNT]; /* ever, by final status */
        enum jobs_phase phase;
        int idle_fd; /* eventfd, readable when the engine drains and the table is empty */
};

/* After a failure, too, jobs_release() must be called. `expected`: jobs that the table
 * is made for. */
int jobs_init(struct jobs *jobs, size_t expected, struct err *err);
void jobs_release(struct jobs *jobs);

/* ---- one job ---- */

/* A job with a fresh id and one reference, in JOB_ACCEPTING, not in the table yet. */
int job_new(struct job **ret, struct err *err);

/* Another reference: the caller holds the lock or has a reference. Returns the job. */
struct job *job_ref(struct job *job);
void job_unref(struct job *job);

/* True from JOB_RECORDED on, when the record no longer changes. With the lock. */
bool job_is_over(const struct job *job);

/* Marks the job killed and interrupts its sink. False if it was killed before. With the lock. */
bool job_kill(struct job *job, bool by_shutdown);

/* ---- the table and the states; all with the lock, except jobs_find() ---- */

/* Adds a new job. The caller's reference becomes the table's. */
void jobs_add(struct jobs *jobs, struct job *job);

/* A reference, or NULL. Jobs that are not accepted yet are found only if `accepting`. */
struct job *jobs_find(struct jobs *jobs, const char *id, bool accepting);

/* Moves a job from a state to another, and asserts that it may. */
void jobs_move(struct jobs *jobs, struct job *job, enum job_state to);

/* Moves a job to JOB_RUNNING, _RECORDED or _UNRECORDED, and replaces its record in the
 * same step. */
void jobs_move_record(struct jobs *jobs, struct job *job, enum job_state to,
                      const struct workload *record);

/* Moves a job to JOB_REJECTED or JOB_FORGOTTEN: takes it out of the table and wakes all waiting
 * threads. The table's reference becomes the caller's. */
void jobs_remove(struct jobs *jobs, struct job *job, enum job_state to);

/* Enters a phase, unless the shutdown is in a later one, and wakes all waiting threads. */
void jobs_enter(struct jobs *jobs, enum jobs_phase phase);

/* Jobs that are accepted and have not begun to run. */
size_t jobs_pending(const struct jobs *jobs);
