/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: takes workloads, queues them, runs each on a worker thread in a backend, keeps their
 * records, ends them on request. The only place that moves a workload from one status to another.
 *
 *     engine_new(&config, &engine, &err);
 *     engine_submit(engine, &spec, "auto", &sink, id, &err);   // sink.ended is called once
 *     engine_kill(engine, id, &err);
 *     engine_free(engine);                                     // ends what still runs
 *
 * Life of a workload: engine_submit() writes it down as pending and queues it; as soon as VMs and
 * memory allow (admission.h: the order, and why nobody waits for ever) a worker thread moves it to
 * running, calls the backend's execute() and moves it to the status that execute() decided. That it
 * is accepted and how it ended are on disk before anybody can see it.
 *
 * Every accepted workload passes through execute() exactly once and gets exactly one ended(). One
 * that is killed while it waits does so with its kill flag set (backend.h): it never was running,
 * and nothing is made for it.
 *
 * Thread rule: every function may be called from any thread, engine_free() when no other function
 * runs or will be called. Sinks are called on the worker thread of their workload, one call at a
 * time; a workload that is killed while it waits is ended on the thread that killed it. Sinks may
 * call engine_submit() and engine_get(), but not engine_stop(), engine_free(), nor engine_kill()
 * for their own workload, which would wait for themselves.
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

/* -EINVAL for bounds out of range. The backends are consumed on success and on failure. */
int engine_new(const struct engine_config *config, struct engine **ret, struct err *err);

/* Refuses new workloads from now on (-ESHUTDOWN) and lets those that are there go on. */
void engine_drain(struct engine *e);
bool engine_is_draining(struct engine *e);

/* Readable once the engine is drained: engine_drain() was called and the last ended() has returned.
 * The engine's own: poll, do not read. */
int engine_idle_fd(struct engine *e);

/*
 * Refuses new workloads, kills those that are there, all at once, and waits until the last ended()
 * has returned.
 * Afterwards engine_get() and engine_kill() still answer. Any number of calls.
 */
void engine_stop(struct engine *e);

/* engine_stop(), then ends the worker threads and frees everything. Takes NULL. */
void engine_free(struct engine *e);

/*
 * Accepts a workload: resolves limits, writes it to the store as pending, queues it. On success the
 * content of *spec is the engine's and *spec is empty; on failure it is the caller's as before.
 * `isolation`: "auto" or "microvm". ended() may be called before this returns.
 * -EINVAL bad order (naming the field) or one that needs more than max_memory_mb, -ENOENT unknown runtime, -EOPNOTSUPP no backend for this
 * isolation (listing those there are), -EAGAIN queue full, -ESHUTDOWN engine is stopping.
 */
int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err);

/* Counts an order that was refused before it came here (enum engine_reject in metrics.h). */
void engine_count_reject(struct engine *e, enum engine_reject why);

/*
 * Records, lists and statistics. The engine is their one owner: it shows what it has in memory, and
 * what the store has of all other workloads. So a workload that has ended is shown as ended
 * everywhere, even if the store could not take its completion yet. Without a store a workload is known
 * until its ended() has returned, and lists and statistics are empty.
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
 * Ends a workload as killed; returns 0 when it has ended so (ended() may not have returned yet).
 * -ENOENT unknown; -EALREADY it had ended, or ended otherwise before the kill could reach it.
 */
int engine_kill(struct engine *e, const char *id, struct err *err);

/*
 * The same in two steps, so that many can be told before any is waited for. The first waits for
 * nothing: whatever runs is killed, whatever waits will not begin. What it returns (NULL: there is
 * nothing to tell) must be given to the second, which returns as engine_kill() does.
 */
struct job *engine_kill_start(struct engine *e, const char *id);
int engine_kill_wait(struct engine *e, const char *id, struct job *told, struct err *err);

/* Seconds after which a client refused with -EAGAIN may find a place, 1 to ENGINE_RETRY_MAX_S: the mean
 * run time of a workload, shared by those that run; before any has ended, the time until the first limit
 * of those that run. */
unsigned engine_retry_after_s(struct engine *e);

/* One moment of the engine (metrics.h). */
void engine_counts(struct engine *e, struct engine_counts *ret);

/* Capabilities of backend i (i < n_backends); -ERANGE past the last. */
int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret);
