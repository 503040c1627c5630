/* SPDX-License-Identifier: Apache-2.0 */
/* zstd. */
#include "prom/codec.h"

#include <errno.h>
#include <zstd.h>

/* Level 3, the default, takes longer and gains little on metrics. */
enum { LEVEL = 1 };

static void *zstd_new(void)
{
        ZSTD_CCtx *context = ZSTD_createCCtx();
        if (context)
                ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
        return context;
}

static void zstd_free(void *state)
{
        ZSTD_freeCCtx(state);
}

static int zstd_run(void *state, const char *data, size_t n, struct prom_bytes_ *out)
{
        out->len = 0;
        /* Memory that nothing is written to costs nothing; in pieces it would take a copy. */
        if (!prom_bytes_reserve_(out, ZSTD_compressBound(n)))
                return -ENOMEM;
        size_t len = ZSTD_compress2(state, out->data, out->cap, data, n);
        if (ZSTD_isError(len))
                return -ENOMEM; /* all else would be our mistake */
        out->len = len;
        return 0;
}

const struct prom_codec_ prom_zstd_codec_ = {zstd_new, zstd_free, zstd_run};
