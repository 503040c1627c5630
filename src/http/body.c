/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include "http/answer_internal.h"
#include "http/bounds.h"
#include "http/answer.h"
#include "http/request_internal.h"

#include <errno.h>
#include <stdio.h>

/* Drops bytes of an unwanted body, up to HTTP_DRAIN_MAX. Beyond that the connection is refused. */
static void drop(struct http_request *request, size_t n)
{
        request->dropped += n;
        if (request->dropped > HTTP_DRAIN_MAX)
                http_connection_refuse(request->connection, request->status ? request->status : 413,
                                       "the body is too large to be read and dropped");
}

/* Buffers decoded bytes. -ECANCELED: the request is now refused; -ENOMEM. */
static int keep(void *ctx, const char *data, size_t n)
{
        struct http_request *request = ctx;
        struct http_service *service = request->service;
        char message[64];
        int r;

        if (atomic_fetch_add(&service->body_bytes, n) + n > HTTP_BODIES_MAX) {
                atomic_fetch_sub(&service->body_bytes, n);
                http_answer_header(request, "Retry-After", "5");
                http_request_refuse(request, 503, "too many large requests; try again later");
                return -ECANCELED;
        }
        request->counted += n;
        r = buf_add(&request->body, data, n);
        if (r != -ENOBUFS)
                return r;
        snprintf(message, sizeof(message), "the body is larger than %zu bytes", request->body.max);
        http_request_refuse(request, 413, message);
        return -ECANCELED;
}

void http_body_take(struct http_request *request, const char *data, size_t n)
{
        struct err err = ERR_INIT;
        int r;

        if (request->status || !request->route->body_max) {
                drop(request, n);
                return;
        }
        r = request->inflate ? http_inflate_feed(request->inflate, data, n, keep, request, &err)
                             : keep(request, data, n);
        if (r == 0)
                return;
        if (r == -EBADMSG)
                http_request_refuse(request, 400, err.msg);
        if (r == -ENOMEM)
                http_connection_refuse(request->connection, 503, "out of memory");
        buf_release(&request->body);
        drop(request, n);
}

void http_body_end(struct http_request *request)
{
        struct err err = ERR_INIT;

        if (!request->status && request->inflate && http_inflate_end(request->inflate, &err) < 0)
                http_request_refuse(request, 400, err.msg);
}

void http_body_release(struct http_request *request)
{
        atomic_fetch_sub(&request->service->body_bytes, request->counted);
        buf_release(&request->body);
        http_inflate_free(request->inflate);
}
