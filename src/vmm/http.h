/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's transport: HTTP/1.1 on a Unix socket, by libmicrohttpd driven from our loop.
 *
 * A request whose operation completes later is suspended and resumed; other requests continue. As
 * with Firecracker, a connection may stay idle without limit, the number of connections is bounded,
 * and the socket's file must not exist beforehand. It is removed at the end. Paths are used as
 * sent, including %-escapes and query. Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/api.h"
#include "vmm/loop.h"

enum {
        HTTP_CONNECTIONS_MAX = 32, /* open at a time; another one gets an error and is closed */
};

struct MHD_Daemon;
struct http_request;

struct http {
        struct loop *loop;
        struct api *api;
        size_t body_max;
        char path[108];
        int listen_fd;
        struct MHD_Daemon *daemon;
        struct loop_source src;      /* the daemon's epoll descriptor */
        struct loop_source incoming; /* the listening socket; not owned */
        int n_connections;
        struct loop_timer timer;
        struct http_request *waiting; /* the suspended request; NULL: none */
};

/* Binds the socket, so that a path in use fails early. Nothing is answered yet. */
int http_listen(struct http *http, const char *path, struct err *err);

/* Starts to answer requests. Sets api->completed. */
int http_start(struct http *http, struct loop *loop, struct api *api, size_t body_max,
               struct err *err);

/* Stops and removes the socket. A transport that was never started is fine. */
void http_release(struct http *http);
