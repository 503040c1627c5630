/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches answers about workloads that have ended, whose records do not change: a repeated request
 * is answered on the server's thread, without the store.
 *
 * Bounds: API_CACHE_ENTRIES answers of at most API_CACHE_BODY_MAX bytes. An id has one slot, which
 * it shares with other ids; the last answer stays. Thread rule: any thread.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        API_CACHE_ENTRIES = 256,
        API_CACHE_BODY_MAX = 4096,
};

struct api_cache;

struct api_cache *api_cache_new(void); /* NULL: out of memory */
void api_cache_free(struct api_cache *c);

/* Copies an answer, unless it is too large. `deletions`: engine_deletions() before the record was
 * read. */
void api_cache_add(struct api_cache *c, const char *id, uint64_t deletions, const struct buf *body);

/* Appends the answer to `ret`. False: it is not cached, or records have been deleted since
 * (`deletions`: engine_deletions() now). */
bool api_cache_find(struct api_cache *c, const char *id, uint64_t deletions, struct buf *ret);
