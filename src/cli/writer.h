/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a program's output to descriptors that may block, and can be told to stop.
 *
 * A write waits until the descriptor takes bytes or writer_interrupt() was called. The descriptors
 * are used as they are: they are shared with other programs, so their flags are not changed.
 * Therefore a write is made only when poll() says there is room, and is no larger than what a pipe
 * then surely takes; should another writer fill the pipe in between, the wait cannot be interrupted
 * until somebody reads.
 *
 * Nobody need wait for a reader for ever: after writer_spool() what finds no room is kept in memory,
 * in order, and writer_flush() writes it when there is time.
 *
 *     writer_init(&w, &err);
 *     writer_write(&w, fd, bytes, n);      // waits for the reader; elsewhere, then: writer_spool(&w)
 *     writer_flush(&w, stop_fd);           // what it did not take in time
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
        int wake_fd; /* eventfd: readable from writer_interrupt() or writer_spool() on */
        atomic_bool interrupted, spooling;
        struct buf spool; /* of each write that found no room: descriptor, size, bytes */
        uint64_t dropped; /* bytes that found no room in the spool either */
        struct terminal_filter filters[2]; /* of standard output and standard error */
};

#define WRITER_INIT                                                                                \
        {                                                                                          \
                .wake_fd = -1, .spool = {.max = WRITER_SPOOL_MAX }                                 \
        }

int writer_init(struct writer *w, struct err *err);
void writer_release(struct writer *w);

/*
 * Writes all n bytes; to a terminal what terminal_filter() lets through. 0, -ECANCELED once interrupted (how much was written is then unknown), -EPIPE
 * when nobody reads any more, or another negative errno of write().
 */
int writer_write(struct writer *w, int fd, const void *bytes, size_t n);

/* Makes the writer_write() that waits return, and every later one that would have to wait. */
void writer_interrupt(struct writer *w);

/* From now on writer_write() keeps what would have to wait, up to WRITER_SPOOL_MAX, and returns 0. */
void writer_spool(struct writer *w);

/* Writes what was kept; then writes wait as at first. As writer_write(), but -ECANCELED once stop_fd
 * is readable. */
int writer_flush(struct writer *w, int stop_fd);
