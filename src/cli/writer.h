/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a program's output to descriptors that may block, interruptibly.
 *
 * A write waits until the descriptor accepts bytes or writer_interrupt() is called. The descriptors
 * are shared with other processes, so their flags must not be changed (no O_NONBLOCK). Therefore a
 * write() is made only after poll() reports the descriptor writable, and is no larger than a pipe
 * then accepts. If another process fills the pipe in between, that write() blocks until somebody
 * reads.
 *
 * A slow reader need not block the caller for ever: after writer_spool(), bytes that would block
 * are kept in the spool, in order, and writer_flush() writes them later.
 *
 *     writer_init(&w, &err);
 *     writer_write(&w, fd, bytes, n);      // blocks; another thread may call writer_spool(&w)
 *     writer_flush(&w, stop_fd);           // writes the spool
 *     writer_release(&w);
 *
 * Thread rule: writer_write() and writer_flush() on one thread at a time, writer_interrupt() and
 * writer_spool() on any. SIGPIPE must be ignored.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "cli/terminal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITER_SPOOL_MAX = 64 * 1024 * 1024 };

struct writer {
        int wake_fd; /* eventfd: readable after writer_interrupt() or writer_spool() */
        atomic_bool interrupted, spooling;
        struct buf spool; /* for each write that would block: descriptor, size, bytes */
        uint64_t dropped; /* bytes that did not fit into the spool */
        struct terminal_filter filters[2]; /* of standard output and standard error */
};

#define WRITER_INIT                                                                                \
        {                                                                                          \
                .wake_fd = -1, .spool = {.max = WRITER_SPOOL_MAX }                                 \
        }

int writer_init(struct writer *w, struct err *err);
void writer_release(struct writer *w);

/*
 * Writes all n bytes, to a terminal through terminal_filter(). 0; -ECANCELED if interrupted (it is
 * then unknown how much was written); -EPIPE if the reader is gone; or another error of write().
 */
int writer_write(struct writer *w, int fd, const void *bytes, size_t n);

/* Cancels the writer_write() in progress, and every later one that would block. */
void writer_interrupt(struct writer *w);

/* From now on, writer_write() spools bytes that would block, up to WRITER_SPOOL_MAX, and returns
 * 0. */
void writer_spool(struct writer *w);

/* Writes the spool; later writes block again. Errors as writer_write(), except that -ECANCELED
 * means that stop_fd is readable. */
int writer_flush(struct writer *w, int stop_fd);
