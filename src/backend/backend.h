/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend runs workloads in one kind of isolation. It is a const table of functions and a
 * constructor; the engine knows nothing else of it.
 *
 * Execute takes a workload from nothing to its end and leaves nothing behind. It returns when the VM is
 * gone, or when it has been killed but the kernel takes longer than others should wait; the backend then
 * finishes taking it down on a thread of its own. It always fills the outcome, and it alone decides the
 * status. Cleanup ends a workload from outside.
 *
 * Thread rule: execute() is called on a worker thread that lives at least until it returns (VMMs
 * die with the thread that started them) and runs any number of times in parallel; stop(), cleanup() and
 * capabilities() may be called from any thread at any time; free() when no execute() runs.
 */
#pragma once

#include "backend/findings.h"
#include "base/err.h"
#include "config/settings.h"
#include "metric/metric.h"
#include "workload/workload.h"

#include <stdatomic.h>

enum {
        BACKEND_RUNTIMES_MAX = 32,
};

struct backend_capabilities {
        const char *name;                                          /* "firecracker" */
        const char *isolation;                                     /* "microvm" */
        char runtimes[BACKEND_RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX]; /* sorted */
        size_t n_runtimes;
        unsigned max_concurrency;
};

/* What a task wants to hear of. Called on the thread that runs execute(), in order. */
struct backend_sink {
        /* The VM is about to be started; then the agent is ready and the program begins. May be
         * NULL. */
        void (*booting)(void *ctx);
        void (*ready)(void *ctx);
        /*
         * Figures have become known: the boot time before ready(), the time to the first response
         * when it comes, the program's times, memory and bytes with its result, the cleanup's time
         * at last. Of `so_far`, which is borrowed, figures that have not come are 0; its status,
         * exit code and error mean nothing yet. May be NULL.
         */
        void (*measured)(void *ctx, const struct workload_outcome *so_far);
        /*
         * Bytes of a stream as they arrived. Returns 0, or a negative errno if nobody will ever
         * take bytes again (-EPIPE): the workload is then ended as killed. May block; while it
         * does, the program is held back and nothing else is; but its VM cannot end, so a sink
         * should not block any more when the program's time is up. The time it takes extends the
         * wait for the result by a bounded amount in total (session/deadline.h). One that blocks
         * must return when cleanup() has been called for its workload.
         */
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /*
         * What became of the files that the spec asks for (spec->fetch), however the workload ended:
         * once, after the last output. The sink owns the reference. May be NULL. Not called where
         * nothing is asked for, nor for a workload that never began. Of no effect on the outcome.
         */
        void (*fetched)(void *ctx, struct workload_fetch *fetch);
        void *ctx;
};

struct backend_task {
        char id[ULID_LEN + 1];
        const struct workload_spec *spec; /* limits already resolved by backend_resolve() */
        struct backend_sink sink;
        /*
         * Becomes true, and stays so, before cleanup() is called for this task. execute() reads it
         * right after it has made itself known under `id`, before it makes anything: so a kill that
         * comes between the engine's decision to execute and that moment is not lost (its cleanup()
         * found nothing and returned -ENOENT). When it is true execute() starts nothing, counts the
         * workload as any other, and returns with status killed. A workload that is killed while it
         * waits in the queue passes through execute() in this way too, so that every accepted
         * workload is counted exactly once. Valid until execute() returns. NULL: never killed.
         */
        const atomic_bool *killed;
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

        /* Fills in. The runtimes are those whose images are there now. */
        void (*capabilities)(struct backend *b, struct backend_capabilities *ret);
        /* Checks that the runtime exists (-ENOENT, naming those there are) and fills zero limits
         * with defaults. Needs no VM. */
        int (*resolve)(struct backend *b, struct workload_spec *spec, struct err *err);
        void (*execute)(struct backend *b, const struct backend_task *task,
                        struct workload_outcome *ret);
        /* As cleanup(), but returns at once: what makes many end at the same time. A workload that
         * execute() does not run (any more) is none of its business. */
        void (*stop)(struct backend *b, const char *id);
        /* Ends the workload: kills its VM at once, at whatever stage, and returns when everything
         * of it is gone. 0, or -ENOENT when execute() does not run (any more) for this id. Any
         * number of calls; the work is done once. */
        int (*cleanup)(struct backend *b, const char *id);
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
