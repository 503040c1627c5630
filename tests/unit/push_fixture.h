/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated network for pushes: replies are scripted, and waiting advances the clock. */
#pragma once

#include "prom/push/error.h"
#include "prom/push/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ANSWERS_MAX = 16, LOG_MAX = 65536 };

struct reply {
        int result; /* 0, or the error of the connection */
        struct push_answer answer;
        unsigned takes_ms;
};

struct world {
        struct reply replies[ANSWERS_MAX];     /* the last one repeats */
        size_t n_replies, asked, asked_before; /* before: when this push began */
        uint64_t now_ms;
        unsigned last_timeout_ms;
        char log[LOG_MAX]; /* a line per request and wait */
        char body[LOG_MAX];
        size_t body_size;
};

static inline void note(struct world *w, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
static inline void note(struct world *w, const char *fmt, ...)
{
        size_t n = strlen(w->log);
        va_list args;
        va_start(args, fmt);
        vsnprintf(w->log + n, LOG_MAX - n, fmt, args);
        va_end(args);
}

static inline int world_send(void *ctx, void **session, const struct push_request *request,
                             unsigned timeout_ms, struct push_answer *ret, struct prom_error *error)
{
        struct world *w = ctx;
        size_t i = w->asked < w->n_replies ? w->asked : w->n_replies - 1;
        const struct reply *reply = &w->replies[i];
        w->asked++;
        assert_true(*session == NULL || *session == w); /* kept between requests */
        *session = w;
        w->last_timeout_ms = timeout_ms;
        note(w, "%s %s", request->method, request->url);
        for (size_t h = 0; request->headers[h]; h++)
                note(w, "|%s", request->headers[h]);
        note(w, "\n");
        w->body_size = request->body_size;
        assert_true(w->body_size < LOG_MAX);
        if (request->body)
                memcpy(w->body, request->body, w->body_size);
        w->body[w->body_size] = '\0';
        w->now_ms += reply->takes_ms;
        if (reply->result < 0)
                return prom_push_fail_(error, -reply->result, "the connection broke");
        *ret = reply->answer;
        return 0;
}

static inline void world_end(void *ctx, void *session)
{
        struct world *w = ctx;
        assert_true(session == (w->asked > w->asked_before ? w : NULL));
        w->asked_before = w->asked;
}

static inline uint64_t world_now(void *ctx)
{
        return ((struct world *)ctx)->now_ms;
}

static inline void world_wait(void *ctx, unsigned ms)
{
        struct world *w = ctx;
        note(w, "wait %u\n", ms);
        w->now_ms += ms;
}

#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})

#define IO(world)                                                                                  \
        (&(const struct prom_push_io){world_send, world_end, world_now, world_wait, (world)})

static inline struct world *world_new(const struct reply *replies, size_t n)
{
        struct world *w = calloc(1, sizeof(*w));
        assert_non_null(w);
        memcpy(w->replies, replies, n * sizeof(*replies));
        w->n_replies = n;
        w->now_ms = 1000;
        return w;
}

#define WORLD(...)                                                                                 \
        world_new((const struct reply[]){__VA_ARGS__},                                             \
                  sizeof((const struct reply[]){__VA_ARGS__}) / sizeof(struct reply))
#define STATUS(code, ...)                                                                          \
        {                                                                                          \
                .answer = {.status = (code), __VA_ARGS__ }                                         \
        }
#define BROKEN(code)                                                                               \
        {                                                                                          \
                .result = -(code)                                                                  \
        }

static inline struct prom_registry *small_registry(void)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc jobs = {.kind = PROM_COUNTER,
                                       .name = "jobs_total",
                                       .help = "Jobs.",
                                       .labels = (const char *const[]){"way", NULL}};
        const struct prom_desc depth = {.kind = PROM_GAUGE, .name = "depth", .help = "Depth."};
        assert_int_equal(prom_register(r, &jobs, &family, NULL), 0);
        prom_counter_add_int(prom_counter_with(family, "in"), 3);
        assert_int_equal(prom_register(r, &depth, &family, NULL), 0);
        prom_gauge_set(prom_gauge_with(family), 2.5);
        return r;
}

static inline struct prom_histogram *native_histogram(struct prom_registry *r)
{
        struct prom_family *family;
        const struct prom_desc desc = {
                .kind = PROM_HISTOGRAM, .name = "n", .help = "", .native_factor = 1.1};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        return prom_histogram_with(family);
}
