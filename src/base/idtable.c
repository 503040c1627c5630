/* SPDX-License-Identifier: Apache-2.0 */
#include "base/idtable.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 16 };

uint32_t idtable_hash(const char *id)
{
        uint32_t hash = 2166136261u;

        for (; *id; id++)
                hash = (hash ^ (unsigned char)*id) * 16777619u;
        return hash;
}

static struct idtable_entry **bucket_of(const struct idtable *table, uint32_t hash)
{
        return &table->buckets[hash & (table->n_buckets - 1)];
}

int idtable_init(struct idtable *ret, size_t expected)
{
        struct idtable table = {.n_buckets = BUCKETS_MIN};

        while (table.n_buckets < expected)
                table.n_buckets *= 2;
        table.buckets = calloc(table.n_buckets, sizeof(struct idtable_entry *));
        if (!table.buckets)
                return -ENOMEM;
        *ret = table;
        return 0;
}

void idtable_release(struct idtable *table)
{
        free(table->buckets);
        *table = (struct idtable){0};
}

static void push(struct idtable *table, struct idtable_entry *entry)
{
        struct idtable_entry **bucket = bucket_of(table, entry->hash);

        entry->next = *bucket;
        *bucket = entry;
}

static void grow(struct idtable *table)
{
        struct idtable grown = {.n_buckets = table->n_buckets * 2, .n_entries = table->n_entries};

        grown.buckets = calloc(grown.n_buckets, sizeof(struct idtable_entry *));
        if (!grown.buckets)
                return;
        for (size_t i = 0; i < table->n_buckets; i++) {
                struct idtable_entry *next;

                for (struct idtable_entry *e = table->buckets[i]; e; e = next) {
                        next = e->next;
                        push(&grown, e);
                }
        }
        free(table->buckets);
        *table = grown;
}

void idtable_add(struct idtable *table, struct idtable_entry *entry, const char *id)
{
        assert(!idtable_find(table, id));
        if (table->n_entries >= table->n_buckets)
                grow(table);
        *entry = (struct idtable_entry){.id = id, .hash = idtable_hash(id)};
        push(table, entry);
        table->n_entries++;
}

void idtable_remove(struct idtable *table, struct idtable_entry *entry)
{
        struct idtable_entry **link = bucket_of(table, entry->hash);

        while (*link != entry) {
                assert(*link);
                link = &(*link)->next;
        }
        *link = entry->next;
        table->n_entries--;
}

struct idtable_entry *idtable_find(const struct idtable *table, const char *id)
{
        uint32_t hash = idtable_hash(id);
        struct idtable_entry *e = *bucket_of(table, hash);

        while (e && (e->hash != hash || strcmp(e->id, id) != 0))
                e = e->next;
        return e;
}
