/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend without VMs, for the tests of everything above a backend. Each workload is an ordinary
 * child process that speaks the protocol over a socket pair: the built-in guest, whose programs are
 * lines of text (tests/fake/README.md), or the real agent. It keeps every rule of backend.h.
 *
 * Runtimes are "python" and "sh", as described in images/runtimes. Tests can watch it and hold it
 * up:
 *
 *     gate        the line `gate` waits until headless_open_gate() was called
 *     hook        is called on the thread of execute() at each stage
 *     counters    and the functions that wait for them
 *
 * A program with this backend in place of the real ones is build/tests/headless/vulcan. With
 * HEADLESS_GUEST=agent in its environment, programs run in the real agent.
 *
 * Thread rule: as in backend.h; the waiting functions on any thread.
 */
#pragma once

#include "backend/backend.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

enum headless_stage {
        HEADLESS_CALLED,  /* execute() was called */
        HEADLESS_ENTERED, /* it has entered the run: from now on it can be stopped */
        HEADLESS_BEGUN,   /* it was not killed by then */
        HEADLESS_ENDING,  /* the program is over, and its process exists */
        HEADLESS_LEFT,    /* it has left the run, and the status is final */
        HEADLESS_STAGES,
};

enum { HEADLESS_VMS_MAX = 64, HEADLESS_ORDER_MAX = 4096 };

struct headless {
        struct backend base;
        char guest[PATH_MAX]; /* the program that is the guest */
        char dir[PATH_MAX];   /* where each workload gets a directory; "": none is needed */
        int gate[2];          /* a pipe: standard input of programs that have none of their own */

        pthread_mutex_t lock; /* guards all below; counters may also be read without it */
        pthread_cond_t changed;
        unsigned n_running, max_running; /* those that were not killed before they began */
        atomic_uint n_executed, n_cleanups, n_stops;
        char began[HEADLESS_ORDER_MAX]; /* last byte of the code of each that ran, in order */
        size_t n_began;

        /* Set by tests before the first workload. */
        bool *freed; /* set to true by free() */
        void (*hook)(struct headless *h, enum headless_stage stage, void *ctx);
        void *hook_ctx;
        bool undecided; /* execute() returns without a status: a bug that the engine must survive */
};

extern const struct backend_ops headless_backend;

/* One with the built-in guest. Never fails: it ends the program. */
struct headless *headless_new(void);

void headless_open_gate(struct headless *h);

/* Wait until n workloads run; until cleanup() was called n times; until n runs were stopped. */
void headless_wait_running(struct headless *h, unsigned n);
void headless_wait_cleanups(struct headless *h, unsigned n);
void headless_wait_stops(struct headless *h, unsigned n);

/* A spec of runtime sh with this code. */
struct workload_spec headless_spec(const char *code);
