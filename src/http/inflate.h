/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes a body with Content-Encoding: gzip (RFC 1952) piece by piece as it arrives, and verifies
 * its checksum and length. Several members in a row are one body. The receiver bounds the output,
 * so decoding a compression bomb stops at the bound.
 *
 * Thread rule: one thread at a time.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct http_inflate;

/* Gets a piece of the decoded body. A negative return ends the decoding and becomes its result. */
typedef int http_inflate_fn(void *ctx, const char *bytes, size_t n);

/* NULL: out of memory. */
struct http_inflate *http_inflate_new(void);

/* Decodes a piece. 0; -EBADMSG if it is invalid; -ENOMEM; or what fn() returned. */
int http_inflate_feed(struct http_inflate *z, const char *bytes, size_t n, http_inflate_fn *fn,
                      void *ctx, struct err *err);

/* 0 if the body is complete, otherwise -EBADMSG. */
int http_inflate_end(const struct http_inflate *z, struct err *err);

/* Takes NULL. */
void http_inflate_free(struct http_inflate *z);
