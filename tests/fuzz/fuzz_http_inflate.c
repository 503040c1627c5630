/* SPDX-License-Identifier: Apache-2.0 */
/* A body with Content-Encoding: gzip, in pieces of the size in the first byte: output stops at the
 * receiver's bound, and a body counts as complete exactly if zlib agrees. */
#include "http/inflate.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { TAKEN_MAX = 1 << 20 };

static int take(void *ctx, const char *bytes, size_t n)
{
        size_t *taken = ctx;

        if (n > TAKEN_MAX - *taken)
                return -ENOBUFS;
        *taken += n;
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http_inflate *z = http_inflate_new();
        size_t piece = size ? (size_t)data[0] + 1 : 1, taken = 0;
        struct err err = ERR_INIT;
        int r = 0;

        for (size_t at = 1; z && at < size && r == 0; at += piece)
                r = http_inflate_feed(z, (const char *)data + at,
                                      size - at < piece ? size - at : piece, take, &taken, &err);
        if (r < 0 && r != -ENOBUFS && r != -EBADMSG && r != -ENOMEM)
                abort();
        if (z && r == 0 && http_inflate_end(z, &err) < 0 && !err.msg[0])
                abort();
        http_inflate_free(z);
        return 0;
}
