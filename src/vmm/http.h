/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's transport: HTTP/1.1 on a Unix socket, by libmicrohttpd driven from our loop.
 *
 * A request whose answer comes later is suspended and resumed; the others go on. A connection may
 * be idle for as long as it likes, as with Firecracker; their number is bounded. The path of a
 * request is taken as it was sent, %-escapes and query included. The socket file
 * must not exist beforehand (as Firecracker has it) and is removed at the end.
 * Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/api.h"
#include "vmm/loop.h"

enum {
        HTTP_CONNECTIONS_MAX = 32, /* open at once; a further one is told so, and closed */
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
        struct http_request *waiting; /* its answer comes later; NULL: none */
};

/* Binds the socket, so that a path in use is known early. Nothing is answered yet. */
int http_listen(struct http *http, const char *path, struct err *err);

/* Starts answering. Sets api->completed. */
int http_start(struct http *http, struct loop *loop, struct api *api, size_t body_max,
               struct err *err);

/* Ends, and removes the socket. Takes one that was never started. */
void http_release(struct http *http);
