/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers requests. A handler answers each request exactly once, within its call or later; the
 * request is gone with the answer. See also stream.h, for bodies that come bit by bit.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/buf.h"
#include "http/bounds.h"

#include <stddef.h>

struct http_request;

/*
 * Adds a header to the answer to come; at most HTTP_ANSWER_HEADERS_MAX, which is asserted. Text:
 * copied. If it does not fit, or there is no memory, the answer becomes a 500: a client must not
 * get a body without the Content-Encoding that says how to read it.
 */
void http_answer_header(struct http_request *request, const char *name, const char *value);

/* Takes the bytes of `body`, which is empty afterwards; NULL: no body. */
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body);

/* Borrows a body until release(ctx), which is called once: when the body has been sent or cannot
 * be, on any thread, maybe before this returns. */
void http_answer_lent(struct http_request *request, unsigned status, const char *content_type,
                      const char *body, size_t n, void (*release)(void *ctx), void *ctx);

/* {"error": message, "request_id": id} */
void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
