/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle of one run of a workload. Through it, other threads end what one thread executes.
 *
 * Its caller owns the memory (the engine embeds it in its job), initialises it before anybody can
 * ask for a kill and releases it when no thread uses it. A handle serves one execute().
 *
 *     the thread that executes                  any thread
 *     backend_run_enter(run, stop, ctx)         backend_run_kill(run)    marks it, and returns
 *     if (!backend_run_is_killed(run)) ...      backend_run_stop(run)    ends it, and returns
 *     backend_run_leave(run)                    backend_run_await(run)   returns when all is gone
 *
 * No kill is lost, whenever it comes. backend_run_stop() marks the run before it takes the lock,
 * and a backend looks at the mark after backend_run_enter() has released the lock. If the stop gets
 * the lock first, the backend finds the mark and starts nothing. If the backend gets it first, the
 * stop finds the execution and calls its stop().
 *
 * Thread rule: any thread at any time between init and release, except that enter and leave belong
 * to the thread that executes.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Ends an execution. Called once at most, with the handle's lock held: must not block. */
typedef void backend_stop_fn(void *execution);

struct backend_run {
        atomic_bool killed; /* only ever becomes true */
        pthread_mutex_t lock;
        pthread_cond_t left;
        backend_stop_fn *stop; /* NULL: not entered, or already called */
        void *execution;       /* the backend's; NULL: not entered, or left */
};

void backend_run_init(struct backend_run *run);
void backend_run_release(struct backend_run *run);

/* Marks the run as killed; it will not begin. True for the first caller. Does not end an
 * execution that has begun; backend_run_stop() does. */
bool backend_run_kill(struct backend_run *run);
bool backend_run_is_killed(const struct backend_run *run);

/* Marks the run as killed and ends its execution. Never blocks. */
void backend_run_stop(struct backend_run *run);

/* Waits until backend_run_leave(). 0, or -ENOENT if no execution was under way. */
int backend_run_await(struct backend_run *run);

/* For a backend, at the start of execute(): from now on the execution can be stopped. */
void backend_run_enter(struct backend_run *run, backend_stop_fn *stop, void *execution);

/* For a backend, when nothing of the execution is left. stop() is not called after that. */
void backend_run_leave(struct backend_run *run);
