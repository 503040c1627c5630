/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting threads. Every thread except the main one blocks all signals. So signals reach only the
 * main thread, which waits for them, and never interrupt a system call of another.
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
 * Starts a thread with all signals blocked. The caller joins it. `name` is what top and gdb show:
 * MODULE-PURPOSE, at most THREAD_NAME_MAX bytes. `stack_size` is in bytes; 0: the C library's
 * default.
 *
 *     r = thread_start(&w->thread, "store-writer", 0, write_on, w, err);
 */
int thread_start(pthread_t *ret, const char *name, size_t stack_size, void *(*run)(void *),
                 void *arg, struct err *err);

/* Blocks all signals in this thread and in threads and processes it starts: for use around calls of
 * libraries that start threads, and around fork(). */
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
