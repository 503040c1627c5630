/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *b, size_t n)
{
        size_t need, cap;
        char *data;

        if (n > b->max || b->len > b->max - n)
                return -ENOBUFS;
        need = b->len + n + 1;
        if (need <= b->cap)
                return 0;
        cap = b->cap ? b->cap : 64;
        while (cap < need)
                cap *= 2;
        if (cap > b->max + 1)
                cap = b->max + 1;
        data = realloc(b->data, cap);
        if (!data)
                return -ENOMEM;
        b->data = data;
        b->cap = cap;
        b->data[b->len] = '\0';
        return 0;
}

void buf_commit(struct buf *b, size_t n)
{
        assert(b->data && b->len + n < b->cap);
        b->len += n;
        b->data[b->len] = '\0';
}

int buf_add(struct buf *b, const void *bytes, size_t n)
{
        int r = buf_reserve(b, n);

        if (r < 0)
                return r;
        if (n)
                memcpy(b->data + b->len, bytes, n);
        buf_commit(b, n);
        return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
        va_list ap, again;
        int n, r;

        va_start(ap, fmt);
        va_copy(again, ap);
        n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        r = n < 0 ? -EINVAL : buf_reserve(b, (size_t)n);
        if (r == 0) {
                vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
                buf_commit(b, (size_t)n);
        }
        va_end(again);
        return r;
}

void buf_consume(struct buf *b, size_t n)
{
        assert(n <= b->len);
        if (!n)
                return;
        b->len -= n;
        memmove(b->data, b->data + n, b->len + 1);
}

char *buf_detach(struct buf *b)
{
        char *data = b->data;

        b->data = NULL;
        b->len = b->cap = 0;
        return data;
}

void buf_release(struct buf *b)
{
        free(b->data);
        b->data = NULL;
        b->len = b->cap = 0;
}
