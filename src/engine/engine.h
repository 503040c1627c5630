/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine accepts workloads, queues them, runs each one in a backend on a worker thread, owns
 * their records, and ends them on request.
 *
 *     engine_new(&config, &engine, &err);
 *     engine_submit(engine, &spec, "auto", &sink, id, &err);   // sink.ended is called once
 *     engine_kill(engine, id, &err);
 *     engine_free(engine);                                     // ends what still runs
 *
 * engine_submit() records a workload as pending and queues it. When a VM and memory are free
 * (admission.h defines the order and bounds the wait), a worker thread moves it to running, calls
 * the backend's execute() and moves it to its final status. The acceptance of a workload is on disk
 * before engine_submit() returns, and its end is on disk before anybody is notified of it, unless
 * the store rejects it (retry.h).
 *
 * Every accepted workload passes through execute() exactly once and gets exactly one ended(). A
 * workload that is killed while it waits passes through execute() with its run marked killed
 * (backend/run.h): its status never becomes running, and no VM is made for it.
 *
 * Thread rule: any thread may call any function; engine_free() must be the last call and overlap no
 * other. Sinks are called on the thread that runs the workload, one call at a time. That is a
 * worker thread; if the workload was killed while it waited, it is the thread that killed it. A
 * sink may call engine_submit() and engine_get(). It must not call engine_stop(), engine_free(), or
 * engine_kill() for its own workload: these would wait for the sink.
 */
#pragma once

#include "backend/backend.h"
#include "base/err.h"
#include "base/ulid.h"
#include "engine/config.h"
#include "engine/metrics.h"
#include "engine/sink.h"
#include "workload/list.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stddef.h>

struct engine;
struct job; /* private */

/* -EINVAL: a bound is out of range. Consumes the backends, also on failure. */
int engine_new(const struct engine_config *config, struct engine **ret, struct err *err);

/* From now on rejects new workloads (-ESHUTDOWN). Existing ones continue. */
void engine_drain(struct engine *e);
bool engine_is_draining(struct engine *e);

/* A descriptor that becomes readable when the engine is drained: engine_drain() was called, the
 * last ended() has returned, and every completion is recorded or given up. It belongs to the
 * engine: poll it, do not read it. */
int engine_idle_fd(struct engine *e);

/*
 * Rejects new workloads, kills all existing ones in parallel, and waits until the last ended() has
 * returned. engine_get() and engine_kill() still work afterwards. May be called repeatedly.
 */
void engine_stop(struct engine *e);

/* Calls engine_stop(), ends all threads and frees everything. Accepts NULL. */
void engine_free(struct engine *e);

/*
 * Accepts a workload: fills in default limits, records it as pending and queues it. On success the
 * engine takes over the content of *spec and leaves it empty; on failure *spec is unchanged.
 * `isolation`: "auto" or that of a backend. ended() may be called before this returns.
 *
 * -EINVAL an invalid field (the message names it) or more memory than max_memory_mb, -ENOENT
 * unknown runtime, -EOPNOTSUPP no backend for this isolation (the message lists the available
 * ones), -EAGAIN queue full, -ESHUTDOWN the engine is draining; and those of store_insert().
 */
int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err);

/* Counts a request that was rejected before it reached engine_submit(). */
void engine_count_reject(struct engine *e, enum engine_reject why);

/*
 * Records, lists and statistics. They all combine the engine's memory with the store: a workload
 * that has ended is shown as ended everywhere, even if the store could not record its completion
 * yet. Without a store a workload is known until its ended() has returned, and lists and statistics
 * are empty.
 */

/* A copy of the record, with output and files. -ENOENT. Release it with workload_release(). */
int engine_get(struct engine *e, const char *id, struct workload *ret, struct err *err);

/* Records without output and files, newest first. `status`: one, or -1 for all. At most
 * WORKLOAD_LIST_MAX items. Release it with workload_list_release(). Errors: those of store.h. */
int engine_list(struct engine *e, int status, unsigned limit, uint64_t offset,
                struct workload_list *ret, struct err *err);

int engine_stats(struct engine *e, struct workload_stats *ret, struct err *err);

/* Changes when records are deleted to stay within the store's bounds. A cached copy of a record is
 * valid only if this is unchanged since before the record was read. */
uint64_t engine_deletions(struct engine *e);

/*
 * Kills a workload. Returns 0 when it has ended as killed, perhaps before its ended() has returned.
 * -ENOENT unknown; -EALREADY it had ended, or ended otherwise before the kill reached it.
 */
int engine_kill(struct engine *e, const char *id, struct err *err);

/*
 * engine_kill() in two steps, so that a caller can kill many workloads before it waits for the
 * first. The first step never blocks: a running workload is stopped, a waiting one will not begin.
 * Its result (NULL: there is nothing to kill) must be passed to the second step, which returns as
 * engine_kill().
 */
struct job *engine_kill_start(struct engine *e, const char *id);
int engine_kill_wait(struct engine *e, const char *id, struct job *killed, struct err *err);

/* Seconds after which a client that got -EAGAIN should retry, 1 to ENGINE_RETRY_MAX_S. It is the
 * mean run time divided by the number of running workloads; before any has ended, the time until
 * the first running one reaches its time limit. */
unsigned engine_retry_after_s(struct engine *e);

/* The engine's counts at one moment (metrics.h). */
void engine_counts(struct engine *e, struct engine_counts *ret);

/* The capabilities of backend i, from 0. -ERANGE: there is no such backend. */
int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret);
