/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers about workloads that have ended, which do not change any more: the last few that somebody
 * asked for, so that one who asks again is answered without the store and on the server's thread.
 *
 * Bounds: API_CACHE_ENTRIES answers of at most API_CACHE_BODY_MAX bytes. Each id has one place,
 * which it shares with others: the last one stays. Thread rule: any thread.
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

/* Keeps a copy, if it is not too large. `deletions`: engine_deletions() before the record was read. */
void api_cache_add(struct api_cache *c, const char *id, uint64_t deletions, const struct buf *body);

/* Adds the answer to `ret`; false: it is not here, or records were deleted since: `deletions` is
 * what it is now. */
bool api_cache_find(struct api_cache *c, const char *id, uint64_t deletions, struct buf *ret);
