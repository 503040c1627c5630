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
 * Thread rule: every function may be called from any thread; sinks are called on worker threads and
 * must not call engine_free().
 */
#pragma once

#include "backend/backend.h"
#include "base/err.h"
#include "workload/workload.h"

struct engine;
struct store;

enum { ENGINE_BACKENDS_MAX = 4 };

struct engine_config {
        struct backend *backends[ENGINE_BACKENDS_MAX]; /* consumed */
        size_t n_backends;
        struct store *store;       /* borrowed; NULL: records live in memory until ended() returned */
        unsigned max_vms;          /* worker threads */
        unsigned max_queue;        /* pending workloads beyond those running */
        size_t output_record_max;  /* bytes of output kept in the record; 0: none */
        char node_id[64];
};

struct engine_sink {
        void (*booting)(void *ctx);
        void (*ready)(void *ctx);
        /* See struct backend_sink. NULL: output goes to the record only. */
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /* The last call for this workload: status is an end. The record is borrowed. May be NULL. */
        void (*ended)(void *ctx, const struct workload *w);
        void *ctx;
};

int engine_new(const struct engine_config *config, struct engine **ret, struct err *err);

/* Refuses new workloads, kills those that are there, waits for them, frees everything. Takes NULL. */
void engine_free(struct engine *e);

/*
 * Accepts a workload: resolves limits, writes it to the store as pending, queues it. On success the
 * content of *spec is the engine's and *spec is empty. `isolation`: "auto" or "microvm".
 * -EINVAL bad order (naming the field), -ENOENT unknown runtime, -EOPNOTSUPP no backend for this
 * isolation (listing those there are), -EAGAIN queue full, -ESHUTDOWN engine is stopping.
 */
int engine_submit(struct engine *e, struct workload_spec *spec, const char *isolation,
                  const struct engine_sink *sink, char ret_id[ULID_LEN + 1], struct err *err);

/* A copy of the record, of a live workload or from the store. -ENOENT. Release it. */
int engine_get(struct engine *e, const char *id, struct workload *ret, struct err *err);

/* Ends a workload as killed; returns when it has ended. -ENOENT unknown, -EALREADY had ended. */
int engine_kill(struct engine *e, const char *id, struct err *err);

/* Capabilities of backend i (i < n_backends); -ERANGE past the last. */
int engine_backend(struct engine *e, size_t i, struct backend_capabilities *ret);
