/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enforces the time limits of connections, on a thread of its own.
 *
 * A client has idle_ns without a byte, and transfer_ns for the head of a request, then for its
 * body, then for taking the response. Each HTTP_TRANSFER_STEP bytes of a body or a response earn
 * transfer_ns more (TCP only). Between requests it has keep_ns without a byte.
 *
 * A client that is late gets 408, or the end of its connection if it does not take its response. It
 * is not late while bytes from it wait to be read, or while the socket has room for its response:
 * then this server is late.
 *
 * Limits are checked at each tick of the wheel (wheel.h), once a second; a check looks at
 * connections whose timer has expired and at no other. Requests do not wake the thread: only the
 * first timer after a time without any does.
 */
#pragma once

#include "base/err.h"
#include "http/connection.h"

#include <pthread.h>

struct http_deadlines {
        struct http_connections *all;
        pthread_t thread;
};

int http_deadlines_start(struct http_deadlines *d, struct http_connections *all, struct err *err);
void http_deadlines_stop(struct http_deadlines *d);
