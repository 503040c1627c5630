/* SPDX-License-Identifier: Apache-2.0 */
#include "http/inflate.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum {
        PIECE = 16 * 1024,
        GZIP = 15 + 16, /* inflateInit2(): the largest window, and only the gzip format */
};

struct http_inflate {
        z_stream z;
        bool begun;    /* a member has begun and not ended */
        bool complete; /* at least one member has ended */
};

struct http_inflate *http_inflate_new(void)
{
        struct http_inflate *z = calloc(1, sizeof(*z));

        if (z && inflateInit2(&z->z, GZIP) != Z_OK) {
                free(z);
                return NULL;
        }
        return z;
}

static int broken(const struct http_inflate *z, struct err *err)
{
        return err_set(err, EBADMSG, "the body is not valid gzip: %s",
                       z->z.msg ? z->z.msg : "broken data");
}

int http_inflate_feed(struct http_inflate *z, const char *bytes, size_t n, http_inflate_fn *fn,
                      void *ctx, struct err *err)
{
        char piece[PIECE];
        int r = Z_OK;

        assert(n <= UINT_MAX);
        z->z.next_in = (Bytef *)(uintptr_t)bytes; /* zlib reads it only, though it takes no const */
        z->z.avail_in = (uInt)n;
        do {
                size_t out;
                int result;

                if (z->z.avail_in)
                        z->begun = true;
                z->z.next_out = (Bytef *)piece;
                z->z.avail_out = sizeof(piece);
                r = inflate(&z->z, Z_NO_FLUSH);
                if (r == Z_MEM_ERROR)
                        return err_set(err, ENOMEM, "out of memory");
                if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
                        return broken(z, err);
                out = sizeof(piece) - z->z.avail_out;
                if (out && (result = fn(ctx, piece, out)) < 0)
                        return result;
                if (r == Z_STREAM_END) {
                        z->complete = true;
                        z->begun = false;
                        inflateReset(&z->z);
                }
        } while (r != Z_BUF_ERROR && (z->z.avail_in || (r == Z_OK && !z->z.avail_out)));
        return 0;
}

int http_inflate_end(const struct http_inflate *z, struct err *err)
{
        if (z->complete && !z->begun)
                return 0;
        return err_set(err, EBADMSG, "the body is not valid gzip: it is truncated");
}

void http_inflate_free(struct http_inflate *z)
{
        if (z)
                inflateEnd(&z->z);
        free(z);
}
