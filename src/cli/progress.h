/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line that tells a person at a terminal what is being waited for: "booting the microVM, 0.4
 * s". It is redrawn in place and gone before the program writes its first byte. Without a terminal
 * nothing is ever written.
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
        const char *what; /* is waited for */
        pthread_t thread; /* of progress_run() */
        bool runs, quit;  /* quit: under the lock, with `changed` */
        pthread_cond_t changed;
        int fd;            /* the terminal; -1: nothing is shown */
        uint64_t since_ns; /* when what is waited for began; 0: nothing is */
        bool drawn;        /* the line stands on the terminal */
};

/* `fd`: a terminal, or -1. `what`: "booting the microVM"; borrowed. */
void progress_init(struct progress *p, int fd, const char *what);
void progress_release(struct progress *p);

/* From now on there is something to wait for; the first line comes with the first tick. */
void progress_begin(struct progress *p);

/* Draws the line anew; call every PROGRESS_PERIOD_MS. Skipped where the terminal takes no bytes. */
void progress_tick(struct progress *p);

/* Has a thread call progress_tick() until progress_release(), where nobody has the time. Without a
 * terminal, or a thread, nothing is shown. */
void progress_run(struct progress *p);

/* Takes the line away; nothing is drawn until progress_begin() is called again. */
void progress_end(struct progress *p);
