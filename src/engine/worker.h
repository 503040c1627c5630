/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker brings a claimed job to its end: through the backend's execute(), into the store, to the
 * sink. Most jobs run on worker threads. One that is killed before it runs is brought to its end on
 * the thread that kills it.
 */
#pragma once

#include "engine/core.h"

/* The body of a worker thread; `engine` is a struct engine. */
void *worker_main(void *engine);

/* Brings a job in JOB_CLAIMED to its end. The caller's pointer may be dangling afterwards, unless
 * it holds a reference. */
void worker_run(struct engine *e, struct job *job);

/* worker_run() in two halves: between them only the store's write is under way, so that a thread
 * with many jobs waits for all writes together. */
void worker_run_start(struct engine *e, struct job *job);
void worker_run_finish(struct engine *e, struct job *job);
