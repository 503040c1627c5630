/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line on the terminal that shows what the user is waiting for: "booting the microVM, 0.4 s". It
 * is redrawn in place and erased before the program's first output. Without a terminal, nothing is
 * written.
 *
 * Thread rule: any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROGRESS_PERIOD_MS = 100 };

struct progress {
        pthread_mutex_t lock;
        const char *what; /* the text of the line */
        pthread_t thread; /* of progress_run() */
        bool runs, quit;  /* quit: protected by the lock, signalled by `changed` */
        pthread_cond_t changed;
        int fd;            /* the terminal; -1: show nothing */
        uint64_t since_ns; /* start of the wait; 0: nothing to show */
        bool drawn;        /* the line is on the terminal */
};

/* `fd` is a terminal, or -1. `what`, such as "booting the microVM", is borrowed. */
void progress_init(struct progress *p, int fd, const char *what);
void progress_release(struct progress *p);

/* Starts the clock. The first tick after it draws the line. */
void progress_begin(struct progress *p);

/* Redraws the line; call it every PROGRESS_PERIOD_MS. Does nothing while the terminal is
 * blocked. */
void progress_tick(struct progress *p);

/* Starts a thread that calls progress_tick() until progress_release(), for callers that are busy.
 * Without a terminal, or if the thread cannot be started, nothing is shown. */
void progress_run(struct progress *p);

/* Erases the line. Nothing is drawn until the next progress_begin(). */
void progress_end(struct progress *p);
