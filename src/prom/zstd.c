/* SPDX-License-Identifier: Apache-2.0 */
/* zstd by libzstd. */
#include "prom/codec.h"

#include <errno.h>
#include <zstd.h>

/* On metrics, level 3, the default, takes longer for little. */
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
        /* The bound is large, but pages that are never written cost nothing. Compressing in pieces
         * would cost a copy. */
        if (!prom_bytes_reserve_(out, ZSTD_compressBound(n)))
                return -ENOMEM;
        size_t len = ZSTD_compress2(state, out->data, out->cap, data, n);
        if (ZSTD_isError(len))
                return -ENOMEM; /* other errors would be bugs of ours */
        out->len = len;
        return 0;
}

const struct prom_codec_ prom_zstd_codec_ = {zstd_new, zstd_free, zstd_run};
