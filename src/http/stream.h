/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers whose body comes bit by bit, however long that takes. While there is nothing to send, the
 * connection is suspended: it costs its memory, no thread and no CPU. No time limit applies except
 * to a client that does not take what is sent.
 *
 *     ssize_t read(void *ctx, char *bytes, size_t max) { ... n bytes, or 0, or -EAGAIN ... }
 *     http_answer_stream(request, "text/event-stream",
 *                        &(struct http_stream_source){read, gone, ctx}, &ctx->stream);
 *     ...
 *     http_stream_wake(ctx->stream);    // from any thread: there is something to read
 *
 * A wake costs the server's thread time in proportion to all suspended connections (libmicrohttpd
 * 0.9.75 visits each): about 180 us with 5,000 of them (`make bench T=http_shapes`). Wakes that come
 * together share that cost.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct http_request;
struct http_stream;

struct http_stream_source {
        /*
         * Puts up to `max` bytes into `bytes` and returns their number; 0 at the end of the body;
         * -EAGAIN if there is nothing now: it is called again after http_stream_wake(). Another
         * negative errno cuts the connection off. On the server's thread; must not wait.
         */
        ssize_t (*read)(void *ctx, char *bytes, size_t max);

        /* The last call: the body has ended, the client is gone, the server stops, or the answer
         * could not be made. Afterwards the stream does not exist. */
        void (*gone)(void *ctx);
        void *ctx;
};

/*
 * Answers with status 200. The request is gone with this call. *ret is written before any call of
 * `source` and valid until gone() is called, maybe before this returns. Any thread.
 */
void http_answer_stream(struct http_request *request, const char *content_type,
                        const struct http_stream_source *source, struct http_stream **ret);

/* There is something to read. Any thread, until gone() is called. */
void http_stream_wake(struct http_stream *stream);
