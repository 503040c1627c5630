/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable buffer with an upper bound.
 *
 * Unless `data` is NULL, a NUL follows its `len` bytes, so that text can be used as a string.
 * Adding more than fits into `max` bytes fails with -ENOBUFS and changes nothing.
 *
 * Thread rule: no lock of its own; the owner guards it.
 */
#pragma once

#include <stddef.h>

struct buf {
        char *data;
        size_t len;
        size_t cap;
        size_t max;
};

#define BUF_INIT(bound) ((struct buf){.max = (bound)})

/* Adds n bytes. -ENOBUFS, -ENOMEM. */
int buf_add(struct buf *b, const void *bytes, size_t n);

/* Adds formatted text. -ENOBUFS, -ENOMEM. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for n bytes after the content. The caller writes them there and calls buf_commit(). */
int buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Hands `data` over to the caller, who frees it, and leaves the buffer empty. */
char *buf_detach(struct buf *b);

/* Frees the content and keeps the bound. An empty buffer is fine. */
void buf_release(struct buf *b);

#define _cleanup_buf_ __attribute__((cleanup(buf_release)))
