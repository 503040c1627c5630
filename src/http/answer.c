/* SPDX-License-Identifier: Apache-2.0 */
#include "http/answer.h"

#include "base/err.h"
#include "http/answer_internal.h"
#include "http/request_internal.h"
#include "json/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- headers ---- */

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
        assert(request->n_headers < HTTP_ANSWER_HEADERS_MAX);
        request->headers.max = HTTP_ANSWER_HEADER_BYTES_MAX;
        if (buf_add(&request->headers, name, strlen(name) + 1) < 0 ||
            buf_add(&request->headers, value, strlen(value) + 1) < 0)
                request->lost_header = true;
        request->n_headers++;
}

static void drop_headers(struct http_request *request)
{
        buf_release(&request->headers);
        request->n_headers = 0;
        request->lost_header = false;
}

bool http_request_add_headers(struct http_request *request, struct MHD_Response *response,
                              const char *content_type)
{
        const char *name = request->headers.data;
        bool ok = MHD_add_response_header(response, "Cache-Control", "no-store") &&
                  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");

        if (content_type)
                ok = ok && MHD_add_response_header(response, "Content-Type", content_type);
        if (request->id[0])
                ok = ok && MHD_add_response_header(response, "X-Request-Id", request->id);
        for (size_t i = 0; i < request->n_headers; i++) {
                const char *value = name + strlen(name) + 1;

                ok = ok && MHD_add_response_header(response, name, value);
                name = value + strlen(value) + 1;
        }
        return ok;
}

/* Takes a response that has no headers yet; NULL if there is no memory for them, or none was
 * given. */
static struct MHD_Response *with_headers(struct http_request *request,
                                         struct MHD_Response *response, const char *content_type)
{
        if (response && !http_request_add_headers(request, response, content_type)) {
                MHD_destroy_response(response);
                return NULL;
        }
        return response;
}

/* ---- bodies ---- */

/* Takes the bytes of `body`. NULL: no memory. */
static struct MHD_Response *make_response(struct http_request *request, const char *content_type,
                                          struct buf *body)
{
        size_t n = body ? body->len : 0;
        char *data = n ? buf_detach(body) : NULL;
        struct MHD_Response *response = MHD_create_response_from_buffer(
                n, data, n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

        request->answer_size = (ssize_t)n;
        if (body)
                buf_release(body);
        if (!response)
                free(data);
        return with_headers(request, response, content_type);
}

/* The body of an error; empty if there is no memory for it. */
static void error_body(const struct http_request *request, const char *message, struct buf *ret)
{
        json_t *object = json_pack("{s:o*, s:s*}", "error", json_string_lossy(message),
                                   "request_id", request->id[0] ? request->id : NULL);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        *ret = BUF_INIT(8 * ERR_MESSAGE_MAX);
        if (text && buf_add(ret, text, strlen(text)) == 0)
                buf_add(ret, "\n", 1);
        free(text);
        json_decref(object);
}

static void set_error(struct http_request *request, unsigned status, const char *message)
{
        struct buf body;

        if (request->lost_header) {
                drop_headers(request);
                status = 500;
                message = "out of memory";
        }
        error_body(request, message, &body);
        request->status = status;
        request->response = make_response(request, "application/json", &body);
}

/* ---- answers ---- */

/*
 * The server's thread suspends the connection of a request that its handler has not answered when
 * it returns; another thread may answer at any time. Both move `state` away from HANDLING with one
 * compare-and-exchange, so exactly one of them sees it there:
 *
 *     answer first:    HANDLING -> ANSWERED here; the server's thread then fails to set SUSPENDED
 *                      and resumes the connection itself (it had suspended it just before)
 *     suspend first:   HANDLING -> SUSPENDED there; this fails, and resumes the connection
 *
 * The default order of both operations (sequentially consistent) also publishes `status` and
 * `response` to the server's thread.
 */
void http_request_answered(struct http_request *request)
{
        struct http_service *service = request->service;
        enum http_request_state state = HTTP_REQUEST_HANDLING;

        if (!atomic_compare_exchange_strong(&request->state, &state, HTTP_REQUEST_ANSWERED)) {
                assert(state == HTTP_REQUEST_SUSPENDED);
                atomic_store(&request->state, HTTP_REQUEST_ANSWERED);
                MHD_resume_connection(request->mhd);
        }
        http_drain_answered(&service->drain); /* the request may be gone by now */
}

void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body)
{
        assert(!request->status);
        if (request->lost_header) {
                if (body)
                        buf_release(body);
                set_error(request, 500, "");
        } else {
                request->status = status;
                request->response = make_response(request, content_type, body);
        }
        http_request_answered(request);
}

void http_answer_lent(struct http_request *request, unsigned status, const char *content_type,
                      const char *body, size_t n, void (*release)(void *ctx), void *ctx)
{
        struct MHD_Response *response;

        assert(!request->status);
        if (request->lost_header) {
                release(ctx);
                set_error(request, 500, "");
                http_request_answered(request);
                return;
        }
        request->status = status;
        request->answer_size = (ssize_t)n;
        /* It only reads the body, though its parameter is not const. */
        response = MHD_create_response_from_buffer_with_free_callback_cls(
                n, (void *)(uintptr_t)body, release, ctx);
        if (!response)
                release(ctx);
        request->response = with_headers(request, response, content_type);
        http_request_answered(request);
}

void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...)
{
        char message[ERR_MESSAGE_MAX];
        va_list ap;

        assert(!request->status);
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        set_error(request, status, message);
        http_request_answered(request);
}

void http_request_refuse(struct http_request *request, unsigned status, const char *message)
{
        if (request->status)
                return;
        if (request->route && request->service->refused)
                request->service->refused(request->route, status, request->service->ctx);
        request->route = NULL;
        set_error(request, status, message);
}
