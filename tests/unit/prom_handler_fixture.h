/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the handler: a registry with a collector that can be made to wait. */
#pragma once

#include "prom/encoding.h"
#include "prom/prom.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- the registry under test ---- */

struct test {
        struct prom_registry *registry, *own;
        struct prom_handler *handler;
        struct prom_family *gauge, *many;
        unsigned collected;  /* calls of the collector */
        bool blocks;         /* the collector waits at the gate */
        sem_t entered, gate; /* after it has posted `entered` */
};

static inline void collect(struct prom_emitter *emitter, void *data)
{
        struct test *t = data;
        unsigned n = __atomic_add_fetch(&t->collected, 1, __ATOMIC_RELAXED);
        if (__atomic_load_n(&t->blocks, __ATOMIC_RELAXED)) {
                sem_post(&t->entered);
                sem_wait(&t->gate);
        }
        prom_emit(emitter, 0, n);
}

static const struct prom_desc collected_desc = {
        .kind = PROM_GAUGE, .name = "collected", .help = "h"};

static inline void set_up(struct test *t, const struct prom_handler_options *options)
{
        struct prom_handler_options with_metrics = {0};
        *t = (struct test){.registry = prom_registry_new(), .own = prom_registry_new()};
        sem_init(&t->entered, 0, 0);
        sem_init(&t->gate, 0, 0);
        if (options)
                with_metrics = *options;
        with_metrics.metrics = t->own;
        assert_int_equal(
                prom_register(t->registry,
                              &(struct prom_desc){.kind = PROM_GAUGE, .name = "level", .help = "h"},
                              &t->gauge, NULL),
                0);
        assert_int_equal(prom_register(t->registry,
                                       &(struct prom_desc){.kind = PROM_COUNTER,
                                                           .name = "many_total",
                                                           .help = "h",
                                                           .labels = NAMES("i"),
                                                           .max_series = 100000},
                                       &t->many, NULL),
                         0);
        assert_int_equal(
                prom_register_collector(t->registry, &collected_desc, 1, collect, t, NULL, NULL),
                0);
        assert_int_equal(prom_handler_new(t->registry, &with_metrics, &t->handler, NULL), 0);
}

static inline void tear_down(struct test *t)
{
        prom_handler_free(t->handler);
        prom_registry_free(t->registry);
        prom_registry_free(t->own);
        sem_destroy(&t->entered);
        sem_destroy(&t->gate);
}

static inline void add_series(struct test *t, unsigned n)
{
        char value[16];
        for (unsigned i = 0; i < n; i++) {
                snprintf(value, sizeof(value), "%u", i);
                prom_counter_inc(prom_counter_with(t->many, value));
        }
}

static inline int serve(struct test *t, const char *accept_encoding, struct prom_response *ret)
{
        prom_handler_serve(t->handler, &(struct prom_request){.accept_encoding = accept_encoding},
                           ret);
        return ret->status;
}

/* The value of a line of the body that begins with `name` and a space. */
static inline double value_in(const char *body, size_t len, const char *name)
{
        size_t n = strlen(name);
        for (const char *line = body; line < body + len;) {
                const char *end = memchr(line, '\n', (size_t)(body + len - line));
                assert_non_null(end);
                if ((size_t)(end - line) > n && memcmp(line, name, n) == 0 && line[n] == ' ')
                        return strtod(line + n, NULL);
                line = end + 1;
        }
        fail_msg("no %s in the body", name);
        return 0;
}

static inline double own_value(struct test *t, const char *name)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(t->own, &buf), 0);
        double v = value_in(buf.data, buf.len, name);
        prom_buf_release(&buf);
        return v;
}
