/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cache.h"

#include "base/idtable.h"
#include "base/ulid.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
        char id[ULID_LEN + 1]; /* "": empty */
        uint64_t deletions;
        struct buf body;
};

struct api_cache {
        pthread_mutex_t lock; /* guards the entries; held for one copy */
        struct entry entries[API_CACHE_ENTRIES];
};

static struct entry *slot_of(struct api_cache *c, const char *id)
{
        return &c->entries[idtable_hash(id) % API_CACHE_ENTRIES];
}

struct api_cache *api_cache_new(void)
{
        struct api_cache *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        pthread_mutex_init(&c->lock, NULL);
        for (size_t i = 0; i < API_CACHE_ENTRIES; i++)
                c->entries[i].body = BUF_INIT(API_CACHE_BODY_MAX);
        return c;
}

void api_cache_free(struct api_cache *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < API_CACHE_ENTRIES; i++)
                buf_release(&c->entries[i].body);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

void api_cache_add(struct api_cache *c, const char *id, uint64_t deletions, const struct buf *body)
{
        struct entry *e = slot_of(c, id);

        if (strlen(id) != ULID_LEN || body->len > API_CACHE_BODY_MAX)
                return;
        pthread_mutex_lock(&c->lock);
        if (strcmp(e->id, id) != 0 || e->deletions != deletions) {
                buf_release(&e->body);
                e->id[0] = '\0';
                e->deletions = deletions;
                if (buf_add(&e->body, body->data, body->len) == 0)
                        memcpy(e->id, id, sizeof(e->id));
        }
        pthread_mutex_unlock(&c->lock);
}

bool api_cache_find(struct api_cache *c, const char *id, uint64_t deletions, struct buf *ret)
{
        struct entry *e = slot_of(c, id);
        bool found;

        pthread_mutex_lock(&c->lock);
        found = *e->id && strcmp(e->id, id) == 0 && e->deletions == deletions &&
                buf_add(ret, e->body.data, e->body.len) == 0;
        pthread_mutex_unlock(&c->lock);
        return found;
}
