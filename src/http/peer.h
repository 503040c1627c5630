/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a client as text. Thread rule: any thread. */
#pragma once

#include <sys/socket.h>

enum { HTTP_CLIENT_MAX = 64 };

/* "127.0.0.1:4711" or "[::1]:4711"; "unix" for other families and NULL. */
void http_peer_text(const struct sockaddr *address, char ret[HTTP_CLIENT_MAX]);

/* The same for the peer of a socket; "" if it is no longer connected. */
void http_peer_of(int fd, char ret[HTTP_CLIENT_MAX]);
