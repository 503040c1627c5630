/* SPDX-License-Identifier: Apache-2.0 */
/* gzip by zlib. */
#include "prom/encoding.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

/* Level 6 takes far longer and gains little on metrics. */
enum { LEVEL = 1, GZIP_WINDOW = 16 + 15, MEMORY = 8, INPUT_MAX = 1 << 30, ROOM = 16 << 10 };

static void *gzip_new(void)
{
        z_stream *stream = calloc(1, sizeof(*stream));
        if (stream && deflateInit2(stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY,
                                   Z_DEFAULT_STRATEGY) != Z_OK) {
                free(stream);
                return NULL;
        }
        return stream;
}

static void gzip_free(void *state)
{
        deflateEnd(state);
        free(state);
}

static int gzip_run(void *state, const char *data, size_t n, struct prom_bytes_ *out)
{
        z_stream *stream = state;
        deflateReset(stream);
        out->len = 0;
        for (;;) {
                size_t piece = n < INPUT_MAX ? n : INPUT_MAX;
                if (!prom_bytes_reserve_(out, ROOM))
                        return -ENOMEM;
                size_t room = out->cap - out->len;
                room = room < INPUT_MAX ? room : INPUT_MAX;
                stream->next_in = (Bytef *)(uintptr_t)data; /* reads it only */
                stream->avail_in = (uInt)piece;
                stream->next_out = (Bytef *)out->data + out->len;
                stream->avail_out = (uInt)room;
                int r = deflate(stream, piece == n ? Z_FINISH : Z_NO_FLUSH);
                data += piece - stream->avail_in;
                n -= piece - stream->avail_in;
                out->len += room - stream->avail_out;
                if (r == Z_STREAM_END)
                        return 0;
        }
}

const struct prom_codec_ prom_gzip_codec_ = {gzip_new, gzip_free, gzip_run};
