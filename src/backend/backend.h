/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend runs workloads in one kind of isolation. It is a const table of functions, which the
 * registry lists by name (registry.h) and which is all that the engine knows of it.
 *
 *     execute()   runs one workload from nothing to its end, and leaves nothing behind
 *     cleanup()   ends one from outside and returns when nothing of it is left
 *
 * Each task has a run handle (run.h), by which it is stopped and cleaned up. Nobody searches for a
 * workload by its id.
 *
 * execute() returns when the VM is gone, or when it was killed and the kernel takes longer to free
 * it than other workloads should wait; the backend then completes the cleanup on a thread of its
 * own.
 *
 * Thread rule: execute() is called on a thread that outlives the call (VMMs die with the thread
 * that started them), any number of times in parallel; cleanup() and capabilities() on any thread
 * at any time; open(), check() and free() while no other function of this backend runs.
 */
#pragma once

#include "backend/findings.h"
#include "backend/run.h"
#include "base/err.h"
#include "config/settings.h"
#include "metric/metric.h"
#include "workload/workload.h"

enum {
        BACKEND_RUNTIMES_MAX = 32,
};

struct backend_capabilities {
        const char *name;                                          /* "firecracker" */
        const char *isolation;                                     /* "microvm" */
        char runtimes[BACKEND_RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX]; /* sorted */
        size_t n_runtimes;
        unsigned max_concurrency; /* workloads at the same time */
};

/* The callbacks of a task, all on the thread that runs execute(). Any of them may be NULL. */
struct backend_sink {
        /* The VM is about to be started. */
        void (*booting)(void *ctx);
        /* The agent is ready; the program is about to start. */
        void (*ready)(void *ctx);
        /*
         * New figures in *so_far, which is borrowed: the boot time before ready(), the time to the
         * first response, the program's times, memory and bytes with its result, and last the time
         * of the cleanup. Unknown figures are 0; status, exit code and error are not valid yet.
         */
        void (*measured)(void *ctx, const struct workload_outcome *so_far);
        /*
         * Bytes of a stream. Returns 0, or a negative errno (-EPIPE) if the sink will never take
         * output again; then the workload ends as killed.
         *
         * May block, which delays its own program only. The VM cannot end meanwhile, so a sink
         * should stop blocking when the program's time limit has passed, and must return after
         * cleanup() was called for its workload. The time it takes extends the wait for the result
         * by a bounded total (session/deadline.h).
         */
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /*
         * The files that the spec asked for (spec->fetch), however the workload ended; once, after
         * the last output. The sink owns the reference. Not called if the spec asked for none, or
         * if the workload never began. Does not affect the outcome.
         */
        void (*fetched)(void *ctx, struct workload_fetch *fetch);
        void *ctx;
};

struct backend_task {
        char id[ULID_LEN + 1];
        const struct workload_spec *spec; /* with its limits resolved */
        struct backend_sink sink;
        struct backend_run *run; /* the caller's, initialised; serves this task alone */
};

enum backend_check {
        /* The settings, as far as they can be judged without changing anything. `serve` rejects
         * settings with a BACKEND_MISSING. */
        BACKEND_CHECK_SETTINGS,
        /* The machine: what workloads need and what would make them faster. May start programs to
         * ask for their version; starts no workload and leaves nothing behind. */
        BACKEND_CHECK_MACHINE,
};

struct backend;

struct backend_ops {
        const char *name;      /* "firecracker" */
        const char *isolation; /* what requests call it: "microvm" */

        /* The section of docs/metrics.md that lists its metrics. */
        const char *metrics_title;
        const struct metric_desc *metrics;
        size_t n_metrics;

        /* Opens the backend. Its metrics go to the default registry. The settings may be freed
         * afterwards. The error is one line that says what to do. */
        int (*open)(const struct settings *s, unsigned max_vms, struct backend **ret,
                    struct err *err);
        /* Adds findings to a report. Needs no open backend. */
        void (*check)(const struct settings *s, enum backend_check depth,
                      struct backend_findings *report);

        /* The runtimes are those whose images exist now. */
        void (*capabilities)(struct backend *b, struct backend_capabilities *ret);
        /* Checks a spec before it is accepted and replaces limits that are 0 by their defaults.
         * -ENOENT: unknown runtime; the message lists the known ones. Starts no VM. */
        int (*resolve)(struct backend *b, struct workload_spec *spec, struct err *err);
        /*
         * Runs the workload and fills the outcome, with its status (session/outcome.h). Enters
         * task->run first. A run that was killed by then starts nothing, is counted like any other,
         * and ends as killed: workloads that are killed while they wait pass through here too, so
         * that every accepted workload is counted exactly once.
         */
        void (*execute)(struct backend *b, const struct backend_task *task,
                        struct workload_outcome *ret);
        /* Stops the run, whatever stage it is in, and returns when everything of it is gone. 0, or
         * -ENOENT if execute() has not entered it or has left it. Any number of calls; the work is
         * done once. */
        int (*cleanup)(struct backend *b, struct backend_run *run);
        void (*free)(struct backend *b);
};

/* The first member of every backend. */
struct backend {
        const struct backend_ops *ops;
};

static inline void backend_free(struct backend *b)
{
        if (b)
                b->ops->free(b);
}
