/* SPDX-License-Identifier: Apache-2.0 */
#include "http/screen.h"

#include "http/answer_internal.h"
#include "http/origin.h"
#include "http/refusal.h"
#include "http/request.h"
#include "http/answer.h"
#include "http/peer.h"
#include "http/request_internal.h"
#include "http/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void add_retry_after(struct http_request *request, int seconds)
{
        char text[16];

        snprintf(text, sizeof(text), "%d", seconds);
        http_answer_header(request, "Retry-After", text);
}

/* False: refused. */
static bool has_right_token(struct http_request *request)
{
        struct http_auth *auth = request->service->auth;
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        const char *value = http_request_header(request, "Authorization");
        enum http_auth_verdict verdict =
                http_auth_check(auth, value, info ? info->client_addr : NULL, request->start_ns);
        char client[HTTP_CLIENT_MAX];

        if (verdict == HTTP_AUTH_OK)
                return true;
        http_request_client(request, client);
        http_auth_note(auth, verdict, client);
        if (verdict == HTTP_AUTH_LIMITED) {
                add_retry_after(request, (HTTP_AUTH_PERIOD_MS + 999) / 1000);
                http_request_refuse(request, 429,
                                    "too many wrong tokens from your address; try again later");
        } else {
                http_answer_header(request, "WWW-Authenticate", "Bearer");
                http_request_refuse(
                        request, 401,
                        value ? "wrong bearer token (Authorization: Bearer TOKEN)"
                              : "a bearer token is required (Authorization: Bearer TOKEN)");
        }
        return false;
}

/* A server without a token refuses what a web page could send, or read. Pages cannot reach a Unix
 * socket, so its clients may send any Host. */
static bool may_come_from_page(struct http_request *request)
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
        if (!host || request->service->is_unix || http_origin_host_is_safe(host))
                return false;
        snprintf(message, sizeof(message),
                 "without a token the daemon answers only to an IP address or localhost, not to "
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

/* A body may be compressed by gzip. Any other coding is refused, as the handler could not read
 * it. */
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

size_t http_screen_announced_size(struct http_request *request)
{
        const char *length = http_request_header(request, "Content-Length");

        if (http_request_header(request, "Transfer-Encoding"))
                return SIZE_MAX;
        return length ? strtoull(length, NULL, 10) : 0;
}

/* Sets route and path_label. Returns some route of that path, if none has this method. */
static const struct http_route *find_route(struct http_request *request, const char *method,
                                           const char *path, char allow[HTTP_ALLOW_MAX])
{
        const struct http_service *service = request->service;
        const struct http_route *same_path = NULL;

        if (path)
                request->route = http_route_find(service->routes, service->n_routes, method, path,
                                                 &request->params, &same_path, allow);
        if (request->route || same_path)
                request->path_label = (request->route ? request->route : same_path)->pattern;
        return same_path;
}

void http_screen_request(struct http_request *request, const char *method, const char *target)
{
        bool has_auth = request->service->auth != NULL;
        const char *path = http_route_path(target, http_request_header(request, "Host"));
        char allow[HTTP_ALLOW_MAX], message[64];
        const struct http_route *same_path = find_route(request, method, path, allow);
        const struct http_route *route = request->route;
        size_t size = http_screen_announced_size(request);

        if (has_auth && !(route && route->flags & HTTP_ROUTE_OPEN) && !has_right_token(request))
                return;
        if (!has_auth && may_come_from_page(request))
                return;
        if (!path) {
                http_request_refuse(request, 400, "the target names another host than Host");
        } else if (!route && same_path) {
                http_answer_header(request, "Allow", allow);
                http_request_refuse(request, 405, "method not allowed");
        } else if (!route) {
                http_request_refuse(request, 404, "no such path");
        } else if (size != SIZE_MAX && route->body_max && size > route->body_max) {
                snprintf(message, sizeof(message), "the body is larger than %zu bytes",
                         route->body_max);
                http_request_refuse(request, 413, message);
        } else {
                request->body = BUF_INIT(route->body_max);
                choose_decoding(request);
        }
}

bool http_screen_capacity(struct http_request *request)
{
        unsigned flags = request->route->flags;

        if (!(flags & (HTTP_ROUTE_WAITS | HTTP_ROUTE_HOLDS)))
                return true;
        request->is_long = http_capacity_take(&request->service->capacity, flags);
        if (request->is_long)
                return true;
        add_retry_after(request, HTTP_RETRY_AFTER_S);
        http_request_refuse(request, 503, "too many long requests are under way; try again later");
        return false;
}
