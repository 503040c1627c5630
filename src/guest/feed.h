/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded buffer for bytes to be written to a pipe: the program's standard input, or the archive
 * that the unpacker reads. Never blocks. Bytes are kept until feed_attach(), and dropped once the
 * reader has closed the pipe.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { FEED_MAX = 1024 * 1024 }; /* holds several frames of the largest size */

struct feed {
        int fd; /* write end of the pipe; -1: not attached, or closed */
        struct buf pending;
        size_t written; /* bytes of `pending` that the pipe has taken */
        bool ended;     /* no more bytes follow */
        bool closed;    /* the pipe is closed, by us or by the reader */
};

#define FEED_INIT ((struct feed){.fd = -1, .pending = BUF_INIT(FEED_MAX)})

/* Takes over fd and makes it non-blocking. */
void feed_attach(struct feed *f, int fd);

/* True if n more bytes fit, or would be dropped anyway. Check before feed_add(). */
bool feed_has_room(const struct feed *f, size_t n);
int feed_add(struct feed *f, const void *bytes, size_t n);

/* Marks the end of the bytes: the pipe is closed once all are written. */
void feed_end(struct feed *f);

/* Writes as much as the pipe takes. Call after feed_add(), after feed_end() and on POLLOUT. */
void feed_flush(struct feed *f);

/* The descriptor to poll for POLLOUT; -1: nothing to write. */
int feed_poll_fd(const struct feed *f);

/* Closes the pipe and drops the remaining bytes. */
void feed_release(struct feed *f);
