/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: "127.0.0.1:8080", "[::1]:8080", "localhost:0", "unix:/run/vulcan.sock".
 * Host names are not looked up, "localhost" excepted: where a daemon listens should not depend on
 * a name server. Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

enum { HTTP_URL_MAX = 256 };

struct http_listener {
        int fd;                 /* -1: none */
        bool local;             /* only this machine reaches it: loopback or a Unix socket */
        char url[HTTP_URL_MAX]; /* with the real port: "http://127.0.0.1:43211", "unix:/path" */
        char path[108];         /* of a Unix socket; "": none */
};

#define HTTP_LISTENER_INIT ((struct http_listener){.fd = -1})

/*
 * Binds and listens. -EINVAL for an address that is none, -EADDRINUSE, -EACCES and so on, each with
 * the address in the message. A Unix socket that nobody serves any more is replaced; its mode is
 * 0600.
 */
int http_listen(const char *address, struct http_listener *ret, struct err *err);

/*
 * True in *ret_local if only this machine could reach it; -EINVAL for an address that is none. Binds
 * nothing; for a Unix socket it looks whether it could be made there (-ENOENT, -EACCES, -EEXIST …).
 */
int http_listen_check(const char *address, bool *ret_local, struct err *err);

/* Closes what was not handed to a server and removes a Unix socket's path. */
void http_listener_release(struct http_listener *listener);
