/* SPDX-License-Identifier: Apache-2.0 */
/* One request on the server's thread: its headers, its body, its handler, its end. */
#include "http/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/access.h"
#include "http/origin.h"
#include "http/text.h"
#include "prom/prom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_CLIENT_GONE = 499 };

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
                http_request_refuse(request, 429,
                                    "too many wrong tokens from your address; try again later");
        } else {
                http_answer_header(request, "WWW-Authenticate", "Bearer");
                http_request_refuse(
                        request, 401,
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
                http_request_refuse(
                        request, 403,
                        "requests from web pages need a token: start the daemon with --token-file");
                return true;
        }
        if (!host || request->server->is_unix || http_origin_host_is_safe(host))
                return false;
        snprintf(message, sizeof(message),
                 "without a token only an IP address or localhost is answered to, not the name "
                 "\"%.60s\": use the address, or start the daemon with --token-file",
                 host);
        http_request_refuse(request, 403, message);
        return true;
}

static bool is_value(const char *value, const char *word)
{
        return http_value_length(value) == strlen(word) &&
               strncasecmp(value, word, strlen(word)) == 0;
}

/* A body may be compressed by gzip; of any other coding nobody here knows what it holds. */
static void choose_decoding(struct http_request *request)
{
        const char *coding = NULL;
        size_t n = http_request_headers(request, "Content-Encoding", &coding, 1);

        if (!n || !request->route->body_max || (n == 1 && is_value(coding, "identity")))
                return;
        if (n > 1 || (!is_value(coding, "gzip") && !is_value(coding, "x-gzip"))) {
                http_answer_header(request, "Accept-Encoding", "gzip");
                http_request_refuse(request, 415, "Content-Encoding: must be gzip, or left out");
                return;
        }
        request->inflate = http_inflate_new();
        if (!request->inflate)
                http_request_refuse(request, 500, "out of memory");
}

static void route_request(struct http_request *request, const char *method, const char *target)
{
        struct http_server *server = request->server;
        const char *path = http_route_path(target, http_request_header(request, "Host"));
        const struct http_route *same_path = NULL;
        char allow[HTTP_ALLOW_MAX], message[64];
        size_t size = announced_size(request);

        if (path)
                request->route = http_route_find(server->routes, server->n_routes, method, path,
                                                 &request->params, &same_path, allow);
        if (request->route || same_path)
                request->path_label = (request->route ? request->route : same_path)->pattern;
        if (server->auth && !(request->route && request->route->flags & HTTP_ROUTE_OPEN) &&
            !has_right_token(request))
                return;
        if (!server->auth && may_be_of_a_page(request))
                return;
        if (!path) {
                http_request_refuse(request, 400, "the target names another host than Host");
        } else if (!request->route && same_path) {
                http_answer_header(request, "Allow", allow);
                http_request_refuse(request, 405, "method not allowed");
        } else if (!request->route) {
                http_request_refuse(request, 404, "no such path");
        } else if (size != SIZE_MAX && request->route->body_max &&
                   size > request->route->body_max) {
                snprintf(message, sizeof(message), "the body is larger than %zu bytes",
                         request->route->body_max);
                http_request_refuse(request, 413, message);
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
                http_request_refuse(
                        request, 503,
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

        if (!info || !info->socket_context) { /* its client already has a response */
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
                http_request_refuse(request, 503,
                                    "too many large requests at once; try again later");
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
                http_request_refuse(request, 400, err.msg);
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
                http_request_refuse(request, 400, err.msg);
}

static enum MHD_Result give_to_worker(struct http_request *request)
{
        MHD_suspend_connection(request->mhd);
        atomic_store(&request->state, SUSPENDED);
        http_server_enqueue(request->server, request);
        return MHD_YES;
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

static enum MHD_Result handle(struct http_request *request)
{
        struct http_server *server = request->server;
        enum http_request_state state = HANDLING;

        if (!take_place(request))
                return send_response(request);
        /* From here on the handler answers, not the time limit. */
        if (!http_deadline_set(request->connection, HTTP_OWES_NOTHING))
                return MHD_NO;
        if (!may_be_handled(server)) {
                http_request_refuse(request, 503, "the server is ending");
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
