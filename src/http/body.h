/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request: buffered for its handler, decoded if it is compressed, or read and dropped
 * if the request is refused, so that its client has sent everything before the answer comes.
 * Private to the server. Thread rule: the server's thread.
 */
#pragma once

#include <stddef.h>

struct http_request;

/* Takes bytes that have come. May refuse the request, or its connection. */
void http_body_take(struct http_request *request, const char *data, size_t n);

/* The body is complete. Refuses the request if its compression is not. */
void http_body_end(struct http_request *request);

void http_body_release(struct http_request *request);
