/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads Server-Sent Events (WHATWG HTML, section 9.2.6 "Interpreting an event stream") from bytes
 * that come in pieces of any size.
 *
 *     struct sse_reader reader = SSE_READER_INIT(on_event, ctx);
 *     sse_reader_feed(&reader, bytes, n);      // calls on_event for each that is complete
 *     sse_reader_release(&reader);             // an event without its end is dropped
 *
 * Comments, "retry" and unknown fields are passed over. Bounds: SSE_LINE_MAX, SSE_DATA_MAX,
 * SSE_NAME_MAX; past them -EMSGSIZE. Does no I/O. Thread rule: none of its own.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
        SSE_LINE_MAX = 4 * 1024 * 1024,
        SSE_DATA_MAX = 16 * 1024 * 1024,
        SSE_NAME_MAX = 128, /* bytes of an event's name or id, NUL included */
};

struct sse_event {
        const char *event; /* "message" where none was given */
        const char *id;    /* the last one given; "" before that */
        const char *data;  /* NUL-terminated; lines parted by \n */
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

/* 0, -EMSGSIZE, -ENOMEM, or what the function returned; then the reader takes no more. */
int sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t n);

/* Forgets half an event, for a connection made anew; the id stays. */
void sse_reader_restart(struct sse_reader *reader);

void sse_reader_release(struct sse_reader *reader);
