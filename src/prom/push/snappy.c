/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snappy, block format. With PROM_LAZY_SNAPPY the first use loads libsnappy, which brings the C++
 * run-time library; without, the program is linked with it.
 */
#include "prom/push/snappy.h"
#include "prom/push/error.h"

#include <errno.h>
#include <snappy-c.h>
#include <stdlib.h>

#ifdef PROM_LAZY_SNAPPY

#include <dlfcn.h>
#include <pthread.h>

static __typeof__(snappy_compress) *compress;
static __typeof__(snappy_max_compressed_length) *max_length;

/* Loads the ABI that snappy-c.h describes. The library stays loaded. */
static void load_once(void)
{
        void *library = dlopen("libsnappy.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return;
        max_length = (__typeof__(max_length))dlsym(library, "snappy_max_compressed_length");
        if (max_length)
                compress = (__typeof__(compress))dlsym(library, "snappy_compress");
}

static bool load(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, load_once);
        return compress != NULL;
}

#else

#define compress snappy_compress
#define max_length snappy_max_compressed_length

static bool load(void)
{
        return true;
}

#endif

int prom_push_snappy_(const struct bytes *body, struct bytes *ret, struct prom_error *error)
{
        if (!load())
                return prom_push_fail_(error, ENOENT,
                                       "libsnappy.so.1 is not installed (Debian: libsnappy1v5)");
        size_t size = max_length(body->len);
        ret->data = malloc(size);
        if (!ret->data)
                return prom_push_fail_(error, ENOMEM, "out of memory");
        ret->cap = size;
        if (compress(body->data, body->len, ret->data, &size) != SNAPPY_OK)
                return prom_push_fail_(error, EIO, "snappy cannot compress the request");
        ret->len = size;
        return 0;
}
