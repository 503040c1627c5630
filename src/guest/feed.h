/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on their way into a pipe that somebody else reads: standard input of the program, the
 * archive for the unpacker. Bounded; never blocks. Before feed_attach() bytes are kept; once the
 * reader has gone they are dropped.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { FEED_MAX = 1024 * 1024 }; /* holds several frames of the largest size */

struct feed {
        int fd; /* write end of the pipe; -1: not attached, or closed */
        struct buf pending;
        size_t written; /* bytes of pending that the pipe took */
        bool ended;     /* no more bytes will come */
        bool closed;    /* pipe closed, by us or by the reader */
};

#define FEED_INIT ((struct feed){.fd = -1, .pending = BUF_INIT(FEED_MAX)})

/* Consumes fd, which it makes non-blocking. */
void feed_attach(struct feed *f, int fd);

/* True if n more bytes fit (or are dropped anyway). Ask before feed_add(). */
bool feed_has_room(const struct feed *f, size_t n);
int feed_add(struct feed *f, const void *bytes, size_t n);

/* No more bytes: the pipe is closed when all are written. */
void feed_end(struct feed *f);

/* Writes what the pipe takes. Call after feed_add(), feed_end() and when poll says POLLOUT. */
void feed_flush(struct feed *f);

/* The descriptor to poll for POLLOUT; -1 while there is nothing to write. */
int feed_poll_fd(const struct feed *f);

/* Closes the pipe and drops what is left. */
void feed_release(struct feed *f);
