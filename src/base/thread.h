/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads. Every thread but the main one blocks all signals, so that the kernel delivers them to the
 * thread that waits for them (a signalfd or sigtimedwait in the main thread) and no system call of
 * another is interrupted.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

enum { THREAD_NAME_MAX = 15 }; /* the kernel's limit */

/*
 * Starts a thread with all signals blocked, which the caller joins. `name` is what top and gdb show:
 * MODULE-JOB, at most THREAD_NAME_MAX bytes. `stack_size`: bytes; 0: the C library's default.
 *
 *     r = thread_start(&w->thread, "store-writer", 0, write_on, w, err);
 */
int thread_start(pthread_t *ret, const char *name, size_t stack_size, void *(*run)(void *),
                 void *arg, struct err *err);

/* Blocks all signals for this thread and what it starts: for libraries that start threads of their
 * own, and around fork(). */
static inline void thread_block_signals(sigset_t *ret_before)
{
        sigset_t all;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

static inline void thread_restore_signals(const sigset_t *before)
{
        pthread_sigmask(SIG_SETMASK, before, NULL);
}
