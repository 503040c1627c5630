/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: those of handlers, and refusals. */
#include "http/internal.h"

#include "http/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
        size_t i = request->n_headers;

        assert(i < HTTP_ANSWER_HEADERS_MAX);
        request->headers[i].name = strdup(name);
        request->headers[i].value = strdup(value);
        request->n_headers++;
}

void http_request_add_headers(struct http_request *request, struct MHD_Response *response,
                              const char *content_type)
{
        if (content_type)
                MHD_add_response_header(response, "Content-Type", content_type);
        MHD_add_response_header(response, "Cache-Control", "no-store");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        if (request->id[0])
                MHD_add_response_header(response, "X-Request-Id", request->id);
        for (size_t i = 0; i < request->n_headers; i++)
                if (request->headers[i].name && request->headers[i].value)
                        MHD_add_response_header(response, request->headers[i].name,
                                                request->headers[i].value);
}

static struct MHD_Response *make_response(struct http_request *request, const char *content_type,
                                          struct buf *body)
{
        size_t n = body ? body->len : 0;
        char *data = n ? buf_detach(body) : NULL;
        struct MHD_Response *response;

        request->answer_size = (ssize_t)n;
        response = MHD_create_response_from_buffer(
                n, data, n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

        if (body)
                buf_release(body);
        if (!response) {
                free(data);
                return NULL;
        }
        http_request_add_headers(request, response, content_type);
        return response;
}

static void note_handled(struct http_server *server)
{
        pthread_mutex_lock(&server->lock);
        if (--server->n_handled == 0)
                pthread_cond_broadcast(&server->idle);
        pthread_mutex_unlock(&server->lock);
}

void http_request_answered(struct http_request *request)
{
        struct http_server *server = request->server;
        enum http_request_state state = HANDLING;

        if (!atomic_compare_exchange_strong(&request->state, &state, ANSWERED)) {
                assert(state == SUSPENDED);
                atomic_store(&request->state, ANSWERED);
                MHD_resume_connection(request->mhd);
        }
        note_handled(server); /* the request may be gone by now */
}

void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body)
{
        assert(!request->status);
        request->status = status;
        request->response = make_response(request, content_type, body);
        http_request_answered(request);
}

void http_answer_lent(struct http_request *request, unsigned status, const char *content_type,
                      const char *body, size_t n, void (*release)(void *ctx), void *ctx)
{
        assert(!request->status);
        request->status = status;
        request->answer_size = (ssize_t)n;
        /* It is read only; libmicrohttpd takes no const. */
        request->response = MHD_create_response_from_buffer_with_free_callback_cls(
                n, (void *)(uintptr_t)body, release, ctx);
        if (request->response)
                http_request_add_headers(request, request->response, content_type);
        else
                release(ctx);
        http_request_answered(request);
}

/* The body of an error; empty where there is no memory for it. */
static void error_body(const struct http_request *request, const char *message, struct buf *ret)
{
        json_t *object = json_pack("{s:o*, s:s*}", "error", http_json_text(message), "request_id",
                                   request->id[0] ? request->id : NULL);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        *ret = BUF_INIT(8 * ERR_MESSAGE_MAX);
        if (text && buf_add(ret, text, strlen(text)) == 0)
                buf_add(ret, "\n", 1);
        free(text);
        json_decref(object);
}

void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...)
{
        char message[ERR_MESSAGE_MAX];
        struct buf body;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        error_body(request, message, &body);
        http_answer(request, status, "application/json", &body);
}

void http_request_refuse(struct http_request *request, unsigned status, const char *message)
{
        struct buf body;

        if (request->status)
                return;
        error_body(request, message, &body);
        if (request->route && request->server->refused)
                request->server->refused(request->route, status, request->server->ctx);
        request->route = NULL;
        request->status = status;
        request->response = make_response(request, "application/json", &body);
}
