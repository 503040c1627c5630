/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/access.h"
#include "http/origin.h"
#include "http/text.h"
#include "prom/prom.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_CLIENT_GONE = 499 };

/* ---- answering ---- */

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

/* False once the server ends. */
static bool may_be_handled(struct http_server *server)
{
        bool may;

        pthread_mutex_lock(&server->lock);
        may = !server->ending;
        if (may)
                server->n_handled++;
        pthread_mutex_unlock(&server->lock);
        return may;
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

/* ---- one request on the server's thread ---- */

/* Decides on an answer that no handler gives; it is sent when the body has come. The first counts.
 */
static void refuse(struct http_request *request, unsigned status, const char *message)
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

/* False: it is refused. */
static bool has_right_token(struct http_request *request)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        const char *value = http_request_header(request, "Authorization");
        enum http_auth_verdict verdict = http_auth_check(
                request->server->auth, value, info ? info->client_addr : NULL, request->start_ns);
        char client[HTTP_CLIENT_MAX], seconds[16];

        if (verdict == HTTP_AUTH_OK)
                return true;
        http_request_client(request, client);
        http_auth_note(request->server->auth, verdict, client);
        if (verdict == HTTP_AUTH_LIMITED) {
                snprintf(seconds, sizeof(seconds), "%d", (HTTP_AUTH_PERIOD_MS + 999) / 1000);
                http_answer_header(request, "Retry-After", seconds);
                refuse(request, 429, "too many wrong tokens from your address; try again later");
        } else {
                http_answer_header(request, "WWW-Authenticate", "Bearer");
                refuse(request, 401,
                       value ? "that is not the bearer token (Authorization: Bearer TOKEN)"
                             : "a bearer token is needed (Authorization: Bearer TOKEN)");
        }
        return false;
}

/* The size the headers announce; SIZE_MAX where it is not known beforehand. */
static size_t announced_size(struct http_request *request)
{
        const char *length = http_request_header(request, "Content-Length");

        if (http_request_header(request, "Transfer-Encoding"))
                return SIZE_MAX;
        return length ? strtoull(length, NULL, 10) : 0;
}

/* Where there is no token: refuses what a web page could send, or read. A Unix socket is out of the
 * reach of pages, whatever its clients take for its name. */
static bool may_be_of_a_page(struct http_request *request)
{
        const char *host = http_request_header(request, "Host");
        const char *sites[2];
        size_t n = http_request_headers(request, "Sec-Fetch-Site", sites, 2);
        char message[256];

        if (http_request_header(request, "Origin") || n > 1 ||
            (n && !http_origin_site_is_safe(sites[0]))) {
                refuse(request, 403,
                       "requests from web pages need a token: start the daemon with --token-file");
                return true;
        }
        if (!host || request->server->is_unix || http_origin_host_is_safe(host))
                return false;
        snprintf(message, sizeof(message),
                 "without a token only an IP address or localhost is answered to, not the name "
                 "\"%.60s\": use the address, or start the daemon with --token-file",
                 host);
        refuse(request, 403, message);
        return true;
}

/* A body may be compressed by gzip; of any other coding nobody here knows what it holds. */
static void choose_decoding(struct http_request *request)
{
        const char *coding = NULL;
        size_t n = http_request_headers(request, "Content-Encoding", &coding, 1);

        if (!n || !request->route->body_max || (n == 1 && strcasecmp(coding, "identity") == 0))
                return;
        if (n > 1 || (strcasecmp(coding, "gzip") != 0 && strcasecmp(coding, "x-gzip") != 0)) {
                http_answer_header(request, "Accept-Encoding", "gzip");
                refuse(request, 415, "Content-Encoding: must be gzip, or left out");
                return;
        }
        request->inflate = http_inflate_new();
        if (!request->inflate)
                refuse(request, 500, "out of memory");
}

static void route_request(struct http_request *request, const char *method, const char *url)
{
        struct http_server *server = request->server;
        const struct http_route *same_path;
        char allow[HTTP_ALLOW_MAX], message[64];
        size_t size = announced_size(request);

        request->route = http_route_find(server->routes, server->n_routes, method, url,
                                         &request->params, &same_path, allow);
        if (request->route || same_path)
                request->path_label = (request->route ? request->route : same_path)->pattern;
        if (server->auth && !(request->route && request->route->flags & HTTP_ROUTE_OPEN) &&
            !has_right_token(request))
                return;
        if (!server->auth && may_be_of_a_page(request))
                return;
        if (!request->route && same_path) {
                http_answer_header(request, "Allow", allow);
                refuse(request, 405, "method not allowed");
        } else if (!request->route) {
                refuse(request, 404, "no such path");
        } else if (size != SIZE_MAX && request->route->body_max &&
                   size > request->route->body_max) {
                snprintf(message, sizeof(message), "the body is larger than %zu bytes",
                         request->route->body_max);
                refuse(request, 413, message);
        } else {
                request->body = BUF_INIT(request->route->body_max);
                choose_decoding(request);
        }
}

/* Those that take long are so many at most. */
static bool take_place(struct http_request *request)
{
        struct http_server *server = request->server;
        char seconds[16];

        if (!(request->route->flags & (HTTP_ROUTE_WAITS | HTTP_ROUTE_HOLDS)))
                return true;
        if (!http_server_has_room(server, request->route->flags)) {
                snprintf(seconds, sizeof(seconds), "%d", HTTP_RETRY_AFTER_S);
                http_answer_header(request, "Retry-After", seconds);
                refuse(request, 503,
                       "too many requests that take long are under way; try again later");
                return false;
        }
        request->is_long = true;
        prom_gauge_set(server->long_requests, ++server->n_long);
        return true;
}

static struct http_request *begin(struct http_server *server, struct MHD_Connection *mhd,
                                  const char *url, const char *method)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct http_request *request = calloc(1, sizeof(*request));

        if (!info || !info->socket_context) { /* its client has been told */
                free(request);
                return NULL;
        }
        if (!request) {
                http_connection_tell(info->socket_context, 503, "out of memory");
                return NULL;
        }
        request->server = server;
        request->mhd = mhd;
        request->connection = info->socket_context;
        request->method = http_method_label(method);
        request->path_label = "unmatched";
        request->start_ns = clock_ns();
        request->answer_size = -1;
        http_access_identify(request);
        if (server->access_log != HTTP_ACCESS_OFF)
                request->path = strndup(url, LOG_MESSAGE_MAX);
        atomic_init(&request->state, RECEIVING);
        pthread_mutex_lock(&server->lock);
        server->n_active++;
        pthread_mutex_unlock(&server->lock);
        http_deadline_set(request->connection, HTTP_OWES_BODY);
        route_request(request, method, url);
        return request;
}

static enum MHD_Result send_response(struct http_request *request)
{
        enum MHD_Result r;

        if (request->response &&
            !http_deadline_set(request->connection,
                               request->streams ? HTTP_OWES_NOTHING : HTTP_OWES_TAKING))
                return MHD_NO;
        /* libmicrohttpd takes no more connections until some close. */
        if (request->response &&
            atomic_load(&request->server->n_connections) > request->server->max_connections)
                MHD_add_response_header(request->response, "Connection", "close");
        r = request->response ? MHD_queue_response(request->mhd, request->status, request->response)
                              : MHD_NO;
        request->queued = r == MHD_YES;
        if (!request->queued)
                http_connection_tell(request->connection, 503, "out of memory");
        return r;
}

/* True if a refusal should not wait for the body: the client asked first, or it is too much. */
static bool refuses_at_once(struct http_request *request)
{
        const char *expect = http_request_header(request, "Expect");
        size_t size = announced_size(request);

        if (!request->status || size == 0)
                return false;
        return expect || (size != SIZE_MAX && size > HTTP_DRAIN_MAX);
}

/* Drops bytes of a body nobody wants, until it was enough of them. */
static void drop(struct http_request *request, size_t n)
{
        request->dropped += n;
        if (request->dropped > HTTP_DRAIN_MAX)
                http_connection_tell(request->connection, request->status ? request->status : 413,
                                     "the body is too large to be read to its end");
}

/* Keeps bytes of the body, decoded. 0; -ECANCELED: the request is refused now; -ENOMEM. */
static int keep_body(void *ctx, const char *data, size_t n)
{
        struct http_request *request = ctx;
        struct http_server *server = request->server;
        char message[64];
        int r;

        if (atomic_fetch_add(&server->body_bytes, n) + n > HTTP_BODIES_MAX) {
                atomic_fetch_sub(&server->body_bytes, n);
                http_answer_header(request, "Retry-After", "5");
                refuse(request, 503, "too many large requests at once; try again later");
                return -ECANCELED;
        }
        request->counted += n;
        r = buf_add(&request->body, data, n);
        if (r != -ENOBUFS)
                return r;
        snprintf(message, sizeof(message), "the body is larger than %zu bytes", request->body.max);
        refuse(request, 413, message);
        return -ECANCELED;
}

static void take_body(struct http_request *request, const char *data, size_t n)
{
        struct err err = ERR_INIT;
        int r;

        if (request->status || !request->route->body_max) {
                drop(request, n);
                return;
        }
        r = request->inflate
                    ? http_inflate_feed(request->inflate, data, n, keep_body, request, &err)
                    : keep_body(request, data, n);
        if (r == 0)
                return;
        if (r == -EBADMSG)
                refuse(request, 400, err.msg);
        if (r == -ENOMEM)
                http_connection_tell(request->connection, 503, "out of memory");
        buf_release(&request->body);
        drop(request, n);
}

/* The body has come. */
static void check_whole(struct http_request *request)
{
        struct err err = ERR_INIT;

        if (!request->status && request->inflate && http_inflate_end(request->inflate, &err) < 0)
                refuse(request, 400, err.msg);
}

static enum MHD_Result give_to_worker(struct http_request *request)
{
        MHD_suspend_connection(request->mhd);
        atomic_store(&request->state, SUSPENDED);
        http_server_enqueue(request->server, request);
        return MHD_YES;
}

static enum MHD_Result handle(struct http_request *request)
{
        struct http_server *server = request->server;
        enum http_request_state state = HANDLING;

        if (!take_place(request))
                return send_response(request);
        /* From here on it is answered, not told that it is late. */
        if (!http_deadline_set(request->connection, HTTP_OWES_NOTHING))
                return MHD_NO;
        if (!may_be_handled(server)) {
                refuse(request, 503, "the server is ending");
                return send_response(request);
        }
        request->handler = request->route->handler;
        if (request->route->flags & HTTP_ROUTE_BLOCKS)
                return give_to_worker(request);
        atomic_store(&request->state, HANDLING);
        request->handler(request, server->ctx);
        if (atomic_load(&request->state) == ANSWERED)
                return send_response(request);
        if (request->handler != request->route->handler)
                return give_to_worker(request);
        /* Suspend first, say so second: whoever answers in between leaves the resuming to us. */
        MHD_suspend_connection(request->mhd);
        if (!atomic_compare_exchange_strong(&request->state, &state, SUSPENDED))
                MHD_resume_connection(request->mhd);
        return MHD_YES;
}

enum MHD_Result http_request_on_call(void *ctx, struct MHD_Connection *mhd, const char *url,
                                     const char *method, const char *version, const char *data,
                                     size_t *size, void **ret)
{
        struct http_request *request = *ret;
        if (!request) {
                *ret = request = begin(ctx, mhd, url, method);
                if (!request)
                        return MHD_NO;
                return refuses_at_once(request) ? send_response(request) : MHD_YES;
        }
        if (*size) {
                take_body(request, data, *size);
                *size = 0;
                return MHD_YES;
        }
        check_whole(request);
        if (request->status)
                return send_response(request);
        return handle(request);
}

static void count_request(struct http_request *request)
{
        struct http_server *server = request->server;
        unsigned code = request->queued ? request->status : STATUS_CLIENT_GONE;
        char status[16];

        /* Refused in the middle of its body, by libmicrohttpd or by ourselves, and counted so. */
        if (!request->queued &&
            (atomic_load(&request->connection->told) ||
             MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_HTTP_STATUS)))
                return;

        http_access_log_request(request, code);
        snprintf(status, sizeof(status), "%u", code);
        prom_counter_inc(
                prom_counter_with(server->requests, request->method, request->path_label, status));
        prom_histogram_observe_since_ns(
                prom_histogram_with(server->duration, request->method, request->path_label),
                request->start_ns);
}

void http_request_on_completed(void *ctx, struct MHD_Connection *mhd, void **ret,
                               enum MHD_RequestTerminationCode why)
{
        struct http_server *server = ctx;
        struct http_request *request = *ret;

        if (!request)
                return;
        *ret = NULL;
        http_deadline_set(request->connection, HTTP_OWES_REQUEST); /* the next one */
        if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
                http_connection_answered(request->connection, 1);
        if (request->is_long)
                prom_gauge_set(server->long_requests, --server->n_long);
        count_request(request);
        if (request->response)
                MHD_destroy_response(request->response);
        for (size_t i = 0; i < request->n_headers; i++) {
                free(request->headers[i].name);
                free(request->headers[i].value);
        }
        atomic_fetch_sub(&server->body_bytes, request->counted);
        buf_release(&request->body);
        free(request->path);
        http_inflate_free(request->inflate);
        free(request);
        pthread_mutex_lock(&server->lock);
        if (--server->n_active == 0)
                pthread_cond_broadcast(&server->idle);
        pthread_mutex_unlock(&server->lock);
}
