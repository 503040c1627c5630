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
 * Thread rule: writer_write() on one thread at a time, writer_interrupt() on any. SIGPIPE must be
 * ignored.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct writer {
        int wake_fd; /* eventfd: readable from writer_interrupt() on */
};

int writer_init(struct writer *w, struct err *err);
void writer_release(struct writer *w);

/*
 * Writes all n bytes. 0, -ECANCELED once interrupted (how much was written is then unknown), -EPIPE
 * when nobody reads any more, or another negative errno of write().
 */
int writer_write(struct writer *w, int fd, const void *bytes, size_t n);

/* Makes the writer_write() that waits return, and every later one that would have to wait. */
void writer_interrupt(struct writer *w);
