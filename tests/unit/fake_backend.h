/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend without VMs for the tests of what stands above it. The code of a workload says what it
 * does:
 *
 *     "exit N"    ends with that exit code
 *     "say TEXT"  writes TEXT to stdout, then ends with 0
 *     "both"      writes bytes that are not UTF-8 to stderr between text to stdout
 *     "hang"      runs until it is killed
 *     "gate"      runs until fake_open() was called, or it is killed
 *     "flood"     writes until its sink refuses or it is killed
 *     "silent"    returns without a status
 *
 * Files that it gives back are those it was given. Runtimes are "sh" and "python". Keeps the order in
 * which workloads began, how many ran at once, and how often execute() and cleanup() were called.
 * `hook` is called on the thread of execute() at each stage.
 */
#pragma once

#include "backend/backend.h"
#include "wire/pattern.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum fake_stage {
        FAKE_ENTERED,      /* execute() has been called */
        FAKE_REGISTERED,   /* cleanup() finds the workload */
        FAKE_CHECKED,      /* the kill flag has been looked at */
        FAKE_ENDING,       /* the program is over */
        FAKE_UNREGISTERED, /* cleanup() does not find it any more */
        FAKE_STAGES,
};

enum { FAKE_RUNNING_MAX = 64, FAKE_ORDER_MAX = 4096 };

struct fake_entry {
        struct fake_backend *backend;
        bool kill;
};

struct fake_backend {
        struct backend base;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n_running, max_running;             /* those whose kill flag was not set */
        atomic_uint n_executed, n_cleanups, n_stops; /* also read without the lock */
        char began[FAKE_ORDER_MAX]; /* last character of the code of each that ran */
        size_t n_began;
        bool open;
        bool *freed;
        void (*hook)(struct fake_backend *f, enum fake_stage stage, void *ctx);
        void *hook_ctx;
};

static inline void fake_open(struct fake_backend *f)
{
        pthread_mutex_lock(&f->lock);
        f->open = true;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
}

/* Waits until `n` workloads run. */
static inline void fake_wait_running(struct fake_backend *f, unsigned n)
{
        pthread_mutex_lock(&f->lock);
        while (f->n_running != n)
                pthread_cond_wait(&f->changed, &f->lock);
        pthread_mutex_unlock(&f->lock);
}

/* Waits until cleanup() has been called n times. */
static inline void fake_wait_cleanups(struct fake_backend *f, unsigned n)
{
        pthread_mutex_lock(&f->lock);
        while (f->n_cleanups < n)
                pthread_cond_wait(&f->changed, &f->lock);
        pthread_mutex_unlock(&f->lock);
}

/* Waits until stop() has been called n times. */
static inline void fake_wait_stops(struct fake_backend *f, unsigned n)
{
        pthread_mutex_lock(&f->lock);
        while (f->n_stops < n)
                pthread_cond_wait(&f->changed, &f->lock);
        pthread_mutex_unlock(&f->lock);
}

static inline void fake_capabilities(struct backend *b, struct backend_capabilities *ret)
{
        *ret = (struct backend_capabilities){
                .name = "fake",
                .isolation = "microvm",
                .runtimes = {"python", "sh"},
                .n_runtimes = 2,
                .max_concurrency = FAKE_RUNNING_MAX,
        };
}

static inline int fake_resolve(struct backend *b, struct workload_spec *spec, struct err *err)
{
        if (strcmp(spec->runtime, "sh") != 0 && strcmp(spec->runtime, "python") != 0)
                return err_set(err, ENOENT, "runtime: no \"%s\"; there are: python, sh",
                               spec->runtime);
        if (!spec->limits.cpus)
                spec->limits.cpus = 1;
        if (!spec->limits.mem_mb)
                spec->limits.mem_mb = 128;
        if (!spec->limits.timeout_s)
                spec->limits.timeout_s = 60;
        return 0;
}

static inline void fake_reach(struct fake_backend *f, enum fake_stage stage)
{
        if (f->hook)
                f->hook(f, stage, f->hook_ctx);
}

/* True when killed. */
static inline bool fake_wait(struct fake_backend *f, struct fake_entry *entry, bool gate)
{
        bool killed;

        pthread_mutex_lock(&f->lock);
        while (!entry->kill && !(gate && f->open))
                pthread_cond_wait(&f->changed, &f->lock);
        killed = entry->kill;
        pthread_mutex_unlock(&f->lock);
        return killed;
}

static inline bool fake_is_killed(struct fake_backend *f, struct fake_entry *entry)
{
        bool killed;

        pthread_mutex_lock(&f->lock);
        killed = entry->kill;
        pthread_mutex_unlock(&f->lock);
        return killed;
}

static inline void fake_fetch(const struct backend_task *task)
{
        const struct workload_spec *spec = task->spec;
        struct workload_fetch *fetch = workload_fetch_new(spec->fetch, spec->n_fetch);

        for (size_t i = 0; i < spec->n_fetch; i++) {
                for (size_t j = 0; j < spec->n_files; j++) {
                        struct workload_file file = spec->files[j];

                        if (!wire_pattern_fits(spec->fetch[i], file.name))
                                continue;
                        file.name = strdup(file.name);
                        file.bytes = malloc(file.size + 1);
                        file.pattern = i;
                        memcpy(file.bytes, spec->files[j].bytes, file.size);
                        memset(file.sha256, 0xab, sizeof(file.sha256));
                        if (!file.name || workload_fetch_add(fetch, &file) < 0)
                                abort();
                }
                if (!fetch->notes[i].n_files)
                        workload_fetch_fail(fetch, i, "no such file or directory");
        }
        workload_fetch_seal(fetch);
        task->sink.fetched(task->sink.ctx, fetch);
}

/* Does what the code says. */
static inline void fake_run(struct fake_backend *f, const struct backend_task *task,
                            struct fake_entry *entry, struct workload_outcome *ret)
{
        const char *code = task->spec->code;
        const struct backend_sink *sink = &task->sink;
        int r = 0;

        ret->status = WORKLOAD_COMPLETED;
        ret->exit_code = 0;
        ret->boot_ns = 1000;
        sink->booting(sink->ctx);
        sink->measured(sink->ctx, ret);
        sink->ready(sink->ctx);
        if (strncmp(code, "exit ", 5) == 0)
                ret->exit_code = atoi(code + 5);
        else if (strncmp(code, "say ", 4) == 0)
                r = sink->output(sink->ctx, WORKLOAD_STDOUT, code + 4, strlen(code + 4));
        else if (strcmp(code, "both") == 0)
                r = sink->output(sink->ctx, WORKLOAD_STDOUT, "out", 3) |
                    sink->output(sink->ctx, WORKLOAD_STDERR, "\xff\n", 2) |
                    sink->output(sink->ctx, WORKLOAD_STDOUT, "put\n", 4);
        else if (strncmp(code, "gate", 4) == 0 || strcmp(code, "hang") == 0)
                r = fake_wait(f, entry, *code == 'g') ? -ECANCELED : 0;
        else if (strcmp(code, "flood") == 0)
                while (r == 0 && !fake_is_killed(f, entry))
                        r = sink->output(sink->ctx, WORKLOAD_STDERR, code, 5);
        else if (strcmp(code, "silent") == 0)
                ret->status = WORKLOAD_PENDING;
        if (task->spec->n_fetch)
                fake_fetch(task);
        if (r < 0 || fake_is_killed(f, entry)) {
                ret->status = WORKLOAD_KILLED;
                ret->exit_code = -1;
                snprintf(ret->error, sizeof(ret->error), "killed");
        }
}

static inline void fake_stopped(void *execution)
{
        struct fake_entry *entry = execution;
        struct fake_backend *f = entry->backend;

        pthread_mutex_lock(&f->lock);
        f->n_stops++;
        entry->kill = true;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
}

static inline void fake_execute(struct backend *b, const struct backend_task *task,
                                struct workload_outcome *ret)
{
        struct fake_backend *f = (struct fake_backend *)b;
        const char *code = task->spec->code;
        struct fake_entry entry = {.backend = f};
        bool killed;

        f->n_executed++;
        fake_reach(f, FAKE_ENTERED);
        backend_run_enter(task->run, fake_stopped, &entry);
        fake_reach(f, FAKE_REGISTERED);
        killed = backend_run_is_killed(task->run);
        if (!killed) {
                pthread_mutex_lock(&f->lock);
                if (f->n_began < FAKE_ORDER_MAX)
                        f->began[f->n_began++] = *code ? code[strlen(code) - 1] : '-';
                if (++f->n_running > f->max_running)
                        f->max_running = f->n_running;
                pthread_cond_broadcast(&f->changed);
                pthread_mutex_unlock(&f->lock);
                fake_reach(f, FAKE_CHECKED);
                fake_run(f, task, &entry, ret);
                fake_reach(f, FAKE_ENDING);
        } else {
                ret->status = WORKLOAD_KILLED;
        }
        pthread_mutex_lock(&f->lock);
        if (!killed)
                f->n_running--;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
        backend_run_leave(task->run);
        fake_reach(f, FAKE_UNREGISTERED);
}

static inline int fake_cleanup(struct backend *b, struct backend_run *run)
{
        struct fake_backend *f = (struct fake_backend *)b;

        pthread_mutex_lock(&f->lock);
        f->n_cleanups++;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
        backend_run_stop(run);
        return backend_run_await(run);
}

static inline void fake_free(struct backend *b)
{
        struct fake_backend *f = (struct fake_backend *)b;

        if (f->freed)
                *f->freed = true;
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        free(f);
}

static inline struct fake_backend *fake_new(void)
{
        static const struct backend_ops ops = {
                .capabilities = fake_capabilities,
                .resolve = fake_resolve,
                .execute = fake_execute,
                .cleanup = fake_cleanup,
                .free = fake_free,
        };
        struct fake_backend *f = calloc(1, sizeof(*f));

        if (!f)
                abort();
        f->base.ops = &ops;
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->changed, NULL);
        return f;
}

/* A spec of runtime sh with this code. */
static inline struct workload_spec fake_spec(const char *code)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;

        snprintf(spec.runtime, sizeof(spec.runtime), "sh");
        spec.code = strdup(code);
        spec.code_size = strlen(code);
        return spec;
}
