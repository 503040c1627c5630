/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable run of bytes with an upper bound.
 *
 * `data` is NUL-terminated whenever it is not NULL, so text can be used as it is; `len` does not
 * count the NUL. Additions past `max` fail with -ENOBUFS and change nothing.
 * Thread rule: none of its own; the owner guards it.
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

/* Adds n bytes. 0, -ENOBUFS past the bound, -ENOMEM. */
int buf_add(struct buf *b, const void *bytes, size_t n);

/* Adds formatted text. 0, -ENOBUFS, -ENOMEM. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for n bytes behind the content; write there, then add n to `len` by buf_commit(). */
int buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Hands the memory over to the caller, who frees it; the buffer is empty afterwards. */
char *buf_detach(struct buf *b);

/* Frees the memory; the bound stays. Takes an empty buffer too. */
void buf_release(struct buf *b);

#define _cleanup_buf_ __attribute__((cleanup(buf_release)))
