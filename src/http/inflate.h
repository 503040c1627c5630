/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body with Content-Encoding: gzip, as it arrives: pieces in, pieces out, checksum and length verified
 * (RFC 1952; several members one after the other are one body). The receiver bounds what comes out, so a
 * small body that grows without end costs no more than its first bytes beyond the bound.
 *
 * Thread rule: one thread at a time.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct http_inflate;

/* Takes a piece of the decoded body; a negative return ends the decoding and becomes its result. */
typedef int http_inflate_fn(void *ctx, const char *bytes, size_t n);

/* NULL: out of memory. */
struct http_inflate *http_inflate_new(void);

/* Decodes a piece. 0, -EBADMSG with what is wrong with it, -ENOMEM, or what fn() returned. */
int http_inflate_feed(struct http_inflate *z, const char *bytes, size_t n, http_inflate_fn *fn,
                      void *ctx, struct err *err);

/* 0 if what came is whole; -EBADMSG otherwise. */
int http_inflate_end(const struct http_inflate *z, struct err *err);

/* Takes NULL. */
void http_inflate_free(struct http_inflate *z);
