/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions that the store did not take: the disk is full, another program holds the file, a page
 * is damaged. Clients have been told how the workload ended; its record stays in memory, where
 * engine_get() finds it. One thread, started when it is first needed, retries until the store has
 * taken the completion or the engine stops.
 *
 * Each round tries every completion, since a disk without room for one may have room for the next.
 * There are two exceptions. If the file is locked by another program, the round waits for it once
 * and skips the rest. A completion rejected with a permanent error is tried in every 64th round
 * only. A drain waits for the former kind and gives the latter one last attempt.
 *
 * At most ENGINE_UNRECORDED_MAX completions are kept; beyond that the oldest is given up.
 */
#pragma once

#include "engine/job.h"

#include <pthread.h>
#include <stdbool.h>

struct retry {
        struct jobs *jobs; /* their lock guards all below */
        struct store *store;
        unsigned interval_ms;    /* between rounds */
        struct job_list waiting; /* oldest first, except those being tried */
        bool started;
        pthread_t thread;
};

/* `interval_ms` 0: the default. */
void retry_init(struct retry *retry, struct jobs *jobs, struct store *store, unsigned interval_ms);

/* Takes over a job in JOB_UNRECORDED whose ended() has returned. `permanent`: the store's error is
 * not expected to pass. */
void retry_add(struct retry *retry, struct job *job, bool permanent);

/* Waits for the thread to exit; after jobs_enter(JOBS_CLOSED). */
void retry_join(struct retry *retry);
