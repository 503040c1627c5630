/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads Server-Sent Events (WHATWG HTML, section 9.2.6 "Interpreting an event stream") from bytes
 * that arrive in pieces of any size.
 *
 *     struct sse_reader reader = SSE_READER_INIT(on_event, ctx);
 *     sse_reader_feed(&reader, bytes, n);      // calls on_event for each complete event
 *     sse_reader_release(&reader);             // drops an incomplete event
 *
 * Comments, "retry" and unknown fields are ignored. Input beyond SSE_LINE_MAX, SSE_DATA_MAX or
 * SSE_NAME_MAX is -EMSGSIZE. No I/O. Thread rule: none of its own.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
        SSE_LINE_MAX = 4 * 1024 * 1024,
        SSE_DATA_MAX = 16 * 1024 * 1024,
        SSE_NAME_MAX = 128, /* bytes of an event's name or id, with its NUL */
};

struct sse_event {
        const char *event; /* "message" if the stream named none */
        const char *id;    /* the last one in the stream; "" if there was none */
        const char *data;  /* NUL-terminated; lines are separated by \n */
        size_t size;
};

/* A negative return ends the feed and becomes its result. The event is borrowed. */
typedef int sse_fn(void *ctx, const struct sse_event *event);

struct sse_reader {
        sse_fn *fn;
        void *ctx;
        struct buf line, data;
        char event[SSE_NAME_MAX], id[SSE_NAME_MAX];
        bool has_data, after_cr, begun;
};

#define SSE_READER_INIT(function, context)                                                         \
        ((struct sse_reader){.fn = (function),                                                     \
                             .ctx = (context),                                                     \
                             .line = BUF_INIT(SSE_LINE_MAX),                                       \
                             .data = BUF_INIT(SSE_DATA_MAX)})

/* 0, -EMSGSIZE, -ENOMEM, or what the function returned. After an error the reader may only be
 * released. */
int sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t n);

/* Drops an incomplete event before a new connection. The id stays. */
void sse_reader_restart(struct sse_reader *reader);

void sse_reader_release(struct sse_reader *reader);
