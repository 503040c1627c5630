/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression libraries behind one interface: gzip.c and zstd.c implement it, encoding.c chooses.
 *
 * A codec's state and a struct prom_bytes_ belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct prom_bytes_ {
        char *data;
        size_t len, cap;
};

/* Makes room for n bytes after len. False without memory. */
bool prom_bytes_reserve_(struct prom_bytes_ *bytes, size_t n);
void prom_bytes_release_(struct prom_bytes_ *bytes);

struct prom_codec_ {
        void *(*state_new)(void); /* working memory, to be used for many bodies; or NULL */
        void (*state_free)(void *state);
        /* Replaces *out by the n bytes at `data`, compressed. 0 or -ENOMEM. Allocates nothing if
         * *out has room. */
        int (*run)(void *state, const char *data, size_t n, struct prom_bytes_ *out);
};

/* Each is defined if its library was found at build time: see encoding.c. */
extern const struct prom_codec_ prom_gzip_codec_, prom_zstd_codec_;
