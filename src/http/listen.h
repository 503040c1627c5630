/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets. Addresses: "127.0.0.1:8080", "[::1]:8080", "localhost:0",
 * "unix:/run/vulcan.sock". Host names other than "localhost" are not resolved, because the address
 * a daemon listens on should not depend on a name server. Thread rule: any thread.
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
 * Binds and listens. -EINVAL if the address is invalid; -EADDRINUSE, -EACCES and other errors of
 * bind(), each with the address in the message. Replaces a Unix socket on which no process listens;
 * a new one has the mode 0600.
 */
int http_listen(const char *address, struct http_listener *ret, struct err *err);

/*
 * Checks an address without binding it. *ret_local: only this machine could reach it. -EINVAL if it
 * is invalid; for a Unix socket also -ENOENT, -EACCES, -EEXIST and others if it could not be
 * created.
 */
int http_listen_check(const char *address, bool *ret_local, struct err *err);

/* Closes the socket, unless a server has taken it, and removes the path of a Unix socket. */
void http_listener_release(struct http_listener *listener);
