/* SPDX-License-Identifier: Apache-2.0 */
#include "http/dispatch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/ulid.h"
#include "http/answer_internal.h"
#include "http/body.h"
#include "http/request.h"
#include "http/peer.h"
#include "http/request_internal.h"
#include "http/screen.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the head ---- */

static bool is_valid_id(const char *id)
{
        size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                              "._:/+=@-");

        return n && n <= HTTP_REQUEST_ID_MAX && !id[n];
}

/* The client's X-Request-Id if it is valid and the only one, otherwise a new ULID. */
static void choose_id(struct http_request *request)
{
        const char *given = NULL;

        if (http_request_headers(request, "X-Request-Id", &given, 1) == 1 && is_valid_id(given))
                strcpy(request->id, given);
        else if (ulid_new(request->id, NULL) < 0)
                request->id[0] = '\0';
}

static void run_handler(struct http_job *job)
{
        struct http_request *request =
                (struct http_request *)((char *)job - offsetof(struct http_request, job));

        request->handler(request, request->service->ctx);
}

static struct http_request *begin(struct http_service *service, struct MHD_Connection *mhd,
                                  const char *url, const char *method)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct http_connection *connection = info ? info->socket_context : NULL;
        struct http_request *request;

        if (!connection) /* it could not be opened, and has been refused */
                return NULL;
        request = calloc(1, sizeof(*request));
        if (!request) {
                http_connection_refuse(connection, 503, "out of memory");
                return NULL;
        }
        request->service = service;
        request->mhd = mhd;
        request->connection = connection;
        request->job.run = run_handler;
        request->method = http_method_label(method);
        request->path_label = "unmatched";
        request->start_ns = clock_ns();
        request->answer_size = -1;
        choose_id(request);
        if (service->access.setting != HTTP_ACCESS_OFF)
                request->path = strndup(url, LOG_MESSAGE_MAX); /* NULL: its line has no path */
        atomic_init(&request->state, HTTP_REQUEST_RECEIVING);
        http_drain_begin(&service->drain);
        http_connection_enter(connection, HTTP_PHASE_BODY);
        http_screen_request(request, method, url);
        return request;
}

/* True if a refusal should not wait for the body: its client waits for "100 Continue", or it is
 * larger than what is read and dropped. */
static bool refuses_before_body(struct http_request *request)
{
        const char *expect = http_request_header(request, "Expect");
        size_t size = http_screen_announced_size(request);

        if (!request->status || size == 0)
                return false;
        return expect || (size != SIZE_MAX && size > HTTP_DRAIN_MAX);
}

/* ---- the answer ---- */

static enum MHD_Result send_response(struct http_request *request)
{
        struct http_connections *all = request->connection->all;

        if (!request->response) {
                http_connection_refuse(request->connection, 503, "out of memory");
                return MHD_NO;
        }
        if (!http_connection_enter(request->connection,
                                   request->streams ? HTTP_PHASE_HANDLER : HTTP_PHASE_RESPONSE))
                return MHD_NO;
        /* Too many are open: this one closes after its response. */
        if (atomic_load(&all->n) > all->max)
                MHD_add_response_header(request->response, "Connection", "close");
        request->queued =
                MHD_queue_response(request->mhd, request->status, request->response) == MHD_YES;
        if (!request->queued)
                http_connection_refuse(request->connection, 503, "out of memory");
        return request->queued ? MHD_YES : MHD_NO;
}

/* The connection must be suspended, and say so, before a worker can answer. */
static enum MHD_Result give_to_worker(struct http_request *request)
{
        MHD_suspend_connection(request->mhd);
        atomic_store(&request->state, HTTP_REQUEST_SUSPENDED);
        http_lanes_add(&request->service->lanes, request->route->lane, &request->job);
        return MHD_YES;
}

static enum MHD_Result handle(struct http_request *request)
{
        struct http_service *service = request->service;
        enum http_request_state state = HTTP_REQUEST_HANDLING;

        if (!http_screen_capacity(request))
                return send_response(request);
        /* From here on no time limit applies. */
        if (!http_connection_enter(request->connection, HTTP_PHASE_HANDLER))
                return MHD_NO;
        if (!http_drain_handle(&service->drain)) {
                http_request_refuse(request, 503, "the server is shutting down");
                return send_response(request);
        }
        request->handler = request->route->handler;
        if (request->route->flags & HTTP_ROUTE_BLOCKS)
                return give_to_worker(request);
        atomic_store(&request->state, HTTP_REQUEST_HANDLING);
        request->handler(request, service->ctx);
        if (atomic_load(&request->state) == HTTP_REQUEST_ANSWERED)
                return send_response(request);
        if (request->handler != request->route->handler) /* http_request_defer() */
                return give_to_worker(request);
        /* It will be answered from another thread, maybe just now: see http_request_answered(). The
         * connection is suspended first, so it may be resumed as soon as the exchange is
         * decided. */
        MHD_suspend_connection(request->mhd);
        if (!atomic_compare_exchange_strong(&request->state, &state, HTTP_REQUEST_SUSPENDED))
                MHD_resume_connection(request->mhd);
        return MHD_YES;
}

enum MHD_Result http_dispatch_call(void *ctx, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **ret)
{
        struct http_request *request = *ret;

        if (!request) { /* the head is complete */
                *ret = request = begin(ctx, mhd, url, method);
                if (!request)
                        return MHD_NO;
                return refuses_before_body(request) ? send_response(request) : MHD_YES;
        }
        if (*size) {
                http_body_take(request, data, *size);
                *size = 0;
                return MHD_YES;
        }
        /* The request is complete, or its connection was resumed because it has an answer. */
        http_body_end(request);
        return request->status ? send_response(request) : handle(request);
}

/* ---- the end ---- */

static void log_request(struct http_request *request, unsigned status)
{
        const struct http_access_log *access = &request->service->access;
        char client[HTTP_CLIENT_MAX];

        if (!http_access_is_logged(access, status))
                return;
        http_request_client(request, client);
        http_access_write(access, &(struct http_access){
                                          .method = request->method,
                                          .path = request->path,
                                          .client = client,
                                          .request_id = request->id,
                                          .status = status,
                                          .start_ns = request->start_ns,
                                          .bytes = request->answer_size,
                                          .note_name = request->note_name,
                                          .note = request->note,
                                  });
}

/* What its client got: the answer, a response of libmicrohttpd's own, or nothing. */
static unsigned status_of(const struct http_request *request)
{
        const union MHD_ConnectionInfo *own;

        if (request->queued)
                return request->status;
        own = MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
        return own ? own->http_status : HTTP_STATUS_CLIENT_GONE;
}

/* A request that was refused with its connection has been counted with it. */
static void count(struct http_request *request)
{
        const struct http_metrics *metrics = &request->service->metrics;
        unsigned status = status_of(request);
        char text[16];

        if (!request->queued && atomic_load(&request->connection->refused))
                return;
        log_request(request, status);
        snprintf(text, sizeof(text), "%u", status);
        prom_counter_inc(
                prom_counter_with(metrics->requests, request->method, request->path_label, text));
        prom_histogram_observe_since_ns(
                prom_histogram_with(metrics->duration, request->method, request->path_label),
                request->start_ns);
}

void http_dispatch_completed(void *ctx, struct MHD_Connection *mhd, void **ret,
                             enum MHD_RequestTerminationCode why)
{
        struct http_service *service = ctx;
        struct http_request *request = *ret;

        if (!request)
                return;
        *ret = NULL;
        http_connection_enter(request->connection, HTTP_PHASE_HEAD); /* of the next request */
        if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
                http_connection_answered(request->connection, 1);
        if (request->is_long)
                http_capacity_give_back(&service->capacity);
        count(request);
        if (request->response)
                MHD_destroy_response(request->response);
        http_body_release(request);
        buf_release(&request->headers);
        free(request->path);
        free(request);
        http_drain_end(&service->drain);
}
