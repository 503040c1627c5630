/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of the engine: an engine over the headless backend, and a sink that records
 * its calls. */
#pragma once

#include "engine/engine.h"
#include "headless.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The calls to one workload's sink. */
struct heard {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        char calls[16]; /* b(ooting) r(eady) o(utput, once) e(nded) */
        size_t n_calls;
        unsigned n_ended, n_interrupted;
        bool interrupted_after_end;
        enum workload_status status;
        struct workload_outcome outcome;
        int64_t created_ms, started_ms, finished_ms;
        char output[64];
        bool block;     /* output() blocks until interrupt() */
        bool in_output; /* it is blocked */
        int refuse;     /* what output() returns */
};

static inline void note(struct heard *h, char call)
{
        pthread_mutex_lock(&h->lock);
        if (h->n_calls < sizeof(h->calls) - 1 && !(call == 'o' && strchr(h->calls, 'o')))
                h->calls[h->n_calls++] = call;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
}

static inline void hear_booting(void *ctx)
{
        note(ctx, 'b');
}

static inline void hear_ready(void *ctx)
{
        note(ctx, 'r');
}

static inline int hear_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct heard *h = ctx;

        note(h, 'o');
        pthread_mutex_lock(&h->lock);
        h->in_output = true;
        pthread_cond_broadcast(&h->changed);
        while (h->block && h->n_interrupted == 0)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
        return h->refuse;
}

static inline void hear_interrupt(void *ctx)
{
        struct heard *h = ctx;

        pthread_mutex_lock(&h->lock);
        h->n_interrupted++;
        if (h->n_ended)
                h->interrupted_after_end = true;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
}

static inline void hear_ended(void *ctx, const struct workload *w)
{
        struct heard *h = ctx;

        note(h, 'e');
        pthread_mutex_lock(&h->lock);
        h->n_ended++;
        h->status = w->status;
        h->outcome = w->outcome;
        h->created_ms = w->created_ms;
        h->started_ms = w->started_ms;
        h->finished_ms = w->finished_ms;
        snprintf(h->output, sizeof(h->output), "%s", w->output.len ? w->output.data : "");
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
}

static inline void heard_init(struct heard *h)
{
        *h = (struct heard){0};
        pthread_mutex_init(&h->lock, NULL);
        pthread_cond_init(&h->changed, NULL);
}

static inline void wait_ended(struct heard *h)
{
        pthread_mutex_lock(&h->lock);
        while (!h->n_ended)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
}

static inline void wait_ready(struct heard *h)
{
        pthread_mutex_lock(&h->lock);
        while (!strchr(h->calls, 'r'))
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
}

static inline void wait_in_output(struct heard *h)
{
        pthread_mutex_lock(&h->lock);
        while (!h->in_output)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
}

static inline struct engine_sink sink_of(struct heard *h)
{
        return (struct engine_sink){hear_booting,   hear_ready, hear_output,
                                    hear_interrupt, hear_ended, h};
}

static inline struct engine *engine_over(struct headless *f, unsigned max_vms, unsigned max_queue)
{
        struct engine_config config = {
                .backends = {&f->base},
                .n_backends = 1,
                .max_vms = max_vms,
                .max_queue = max_queue,
                .output_record_max = 8,
                .node_id = "here",
        };
        struct engine *e = NULL;

        assert_int_equal(engine_new(&config, &e, NULL), 0);
        return e;
}

/* Submits code of runtime sh; ret_id may be NULL. Returns the result of engine_submit(). */
static inline int submit(struct engine *e, const char *code, struct heard *h, char *ret_id)
{
        struct workload_spec spec = headless_spec(code);
        struct engine_sink sink = {0};
        char id[ULID_LEN + 1];
        int r;

        if (h)
                sink = sink_of(h);
        r = engine_submit(e, &spec, "auto", h ? &sink : NULL, ret_id ? ret_id : id, NULL);
        workload_spec_release(&spec);
        return r;
}
