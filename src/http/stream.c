/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Bytes that one read() is asked for where the client knows no chunks (HTTP/1.0): each stream has a
 * buffer of that size. Else it is what libmicrohttpd has left of its own. */
enum { BLOCK = 1024 };

/* On the server's thread. */
static ssize_t on_read(void *ctx, uint64_t at, char *bytes, size_t max)
{
        struct http_stream *stream = ctx;
        ssize_t n;

        for (;;) {
                pthread_mutex_lock(&stream->lock);
                stream->woken = false;
                pthread_mutex_unlock(&stream->lock);
                if (atomic_load(&stream->server->closing))
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                n = stream->source.read(stream->source.ctx, bytes, max);
                if (n > 0) {
                        http_deadline_set(stream->connection, HTTP_OWES_TAKING);
                        return n;
                }
                if (n == 0)
                        return MHD_CONTENT_READER_END_OF_STREAM;
                if (n != -EAGAIN)
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                pthread_mutex_lock(&stream->lock);
                if (!stream->woken) {
                        http_deadline_set(stream->connection, HTTP_OWES_NOTHING);
                        stream->suspended = true;
                        MHD_suspend_connection(stream->mhd);
                        pthread_mutex_unlock(&stream->lock);
                        return 0;
                }
                pthread_mutex_unlock(&stream->lock);
        }
}

void http_stream_wake(struct http_stream *stream)
{
        pthread_mutex_lock(&stream->lock);
        stream->woken = true;
        if (stream->suspended) {
                stream->suspended = false;
                MHD_resume_connection(stream->mhd);
        }
        pthread_mutex_unlock(&stream->lock);
}

/* On the server's thread, or the handler's when there is no response. */
static void on_gone(void *ctx)
{
        struct http_stream *stream = ctx;
        struct http_server *server = stream->server;

        pthread_mutex_lock(&server->lock);
        TAILQ_REMOVE(&server->streams, stream, at);
        pthread_mutex_unlock(&server->lock);
        stream->source.gone(stream->source.ctx);
        /* http_streams_end() may be about to leave it. */
        pthread_mutex_lock(&stream->lock);
        pthread_mutex_unlock(&stream->lock);
        pthread_mutex_destroy(&stream->lock);
        free(stream);
}

static struct http_stream *make_stream(struct http_request *request,
                                       const struct http_stream_source *source)
{
        struct http_server *server = request->server;
        struct http_stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return NULL;
        stream->server = server;
        stream->mhd = request->mhd;
        stream->connection = request->connection;
        stream->source = *source;
        pthread_mutex_init(&stream->lock, NULL);
        pthread_mutex_lock(&server->lock);
        TAILQ_INSERT_TAIL(&server->streams, stream, at);
        pthread_mutex_unlock(&server->lock);
        return stream;
}

void http_answer_stream(struct http_request *request, const char *content_type,
                        const struct http_stream_source *source, struct http_stream **ret)
{
        struct http_stream *stream = make_stream(request, source);
        struct MHD_Response *response = NULL;

        assert(!request->status);
        *ret = stream;
        if (stream)
                response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_read,
                                                             stream, on_gone);
        if (!response) {
                if (stream)
                        on_gone(stream);
                else
                        source->gone(source->ctx);
                http_answer_error(request, 500, "out of memory");
                return;
        }
        http_request_add_headers(request, response, content_type);
        request->status = 200;
        request->response = response;
        request->streams = true;
        http_request_answered(request);
}

void http_streams_end(struct http_server *server)
{
        struct http_stream *stream;

        atomic_store(&server->closing, true);
        /* The list is locked, so that none goes away: on_gone() waits for it. */
        pthread_mutex_lock(&server->lock);
        TAILQ_FOREACH(stream, &server->streams, at)
        http_stream_wake(stream);
        pthread_mutex_unlock(&server->lock);
}
