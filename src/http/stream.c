/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream.h"

#include "http/answer_internal.h"
#include "http/answer.h"
#include "http/request_internal.h"
#include "http/streams.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Bytes that one read() is asked for if the client knows no chunks (HTTP/1.0): libmicrohttpd
 * allocates a buffer of that size for each stream. For others it uses what is left of the
 * connection's own. */
enum { BLOCK = 1024 };

/*
 * Freed by on_gone(). The server's thread suspends the connection, in on_read(); any thread may
 * wake it. `suspended` and `woken` change under the lock, which is held while libmicrohttpd
 * suspends or resumes:
 *
 *     wake before on_read() locks:   it finds `woken`, and reads again instead of suspending
 *     wake after it has unlocked:    http_stream_wake() finds `suspended`, and resumes
 *
 * so no wake falls in between. A wake that comes before read() is called is dropped (`woken` is
 * cleared first), because read() is about to see what the wake is about.
 *
 * Order of locks: service->streams_lock, `lock`, those of libmicrohttpd.
 */
struct http_stream {
        struct http_service *service;
        struct MHD_Connection *mhd;
        struct http_connection *connection;
        struct http_stream_source source;
        pthread_mutex_t lock;
        bool suspended, woken;
        TAILQ_ENTRY(http_stream) at; /* in service->streams */
};

/* Suspends until the next wake. False: there was one. */
static bool suspend(struct http_stream *stream)
{
        bool woken;

        pthread_mutex_lock(&stream->lock);
        woken = stream->woken;
        if (!woken) {
                http_connection_enter(stream->connection, HTTP_PHASE_HANDLER);
                stream->suspended = true;
                MHD_suspend_connection(stream->mhd);
        }
        pthread_mutex_unlock(&stream->lock);
        return !woken;
}

/* libmicrohttpd asks for bytes. On the server's thread. */
static ssize_t on_read(void *ctx, uint64_t at, char *bytes, size_t max)
{
        struct http_stream *stream = ctx;
        ssize_t n;

        do {
                pthread_mutex_lock(&stream->lock);
                stream->woken = false;
                pthread_mutex_unlock(&stream->lock);
                if (atomic_load(&stream->service->streams_end))
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                n = stream->source.read(stream->source.ctx, bytes, max);
                if (n > 0) {
                        http_connection_enter(stream->connection, HTTP_PHASE_RESPONSE);
                        return n;
                }
                if (n == 0)
                        return MHD_CONTENT_READER_END_OF_STREAM;
                if (n != -EAGAIN)
                        return MHD_CONTENT_READER_END_WITH_ERROR;
        } while (!suspend(stream));
        return 0;
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

/* libmicrohttpd frees the response. On the server's thread, or the handler's if it took none. */
static void on_gone(void *ctx)
{
        struct http_stream *stream = ctx;
        struct http_service *service = stream->service;

        pthread_mutex_lock(&service->streams_lock);
        TAILQ_REMOVE(&service->streams, stream, at);
        pthread_mutex_unlock(&service->streams_lock);
        stream->source.gone(stream->source.ctx);
        /* The last http_stream_wake() may still hold the lock: gone() waits until no other can
         * begin, and this waits until that one has ended. */
        pthread_mutex_lock(&stream->lock);
        pthread_mutex_unlock(&stream->lock);
        pthread_mutex_destroy(&stream->lock);
        free(stream);
}

static struct http_stream *make_stream(struct http_request *request,
                                       const struct http_stream_source *source)
{
        struct http_service *service = request->service;
        struct http_stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return NULL;
        stream->service = service;
        stream->mhd = request->mhd;
        stream->connection = request->connection;
        stream->source = *source;
        pthread_mutex_init(&stream->lock, NULL);
        pthread_mutex_lock(&service->streams_lock);
        TAILQ_INSERT_TAIL(&service->streams, stream, at);
        pthread_mutex_unlock(&service->streams_lock);
        return stream;
}

void http_answer_stream(struct http_request *request, const char *content_type,
                        const struct http_stream_source *source, struct http_stream **ret)
{
        struct http_stream *stream = request->lost_header ? NULL : make_stream(request, source);
        struct MHD_Response *response = NULL;

        assert(!request->status);
        *ret = stream;
        if (stream)
                response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_read,
                                                             stream, on_gone);
        if (response && !http_request_add_headers(request, response, content_type)) {
                MHD_destroy_response(response); /* calls on_gone() */
                http_answer_error(request, 500, "out of memory");
                return;
        }
        if (!response) {
                if (stream)
                        on_gone(stream);
                else
                        source->gone(source->ctx);
                http_answer_error(request, 500, "out of memory");
                return;
        }
        request->status = 200;
        request->response = response;
        request->streams = true;
        http_request_answered(request);
}

void http_streams_end(struct http_service *service)
{
        struct http_stream *stream;

        atomic_store(&service->streams_end, true);
        /* The lock keeps each stream of the list alive: on_gone() takes it before it frees. A
         * stream that is made later sees streams_end in its first on_read(). */
        pthread_mutex_lock(&service->streams_lock);
        TAILQ_FOREACH(stream, &service->streams, at)
        http_stream_wake(stream);
        pthread_mutex_unlock(&service->streams_lock);
}
