/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of objects by id (a NUL-terminated string). The table is intrusive: each object
 * contains a `struct idtable_entry`, so adding and removing allocate nothing and cannot fail.
 *
 *     struct job {
 *             char id[ULID_LEN + 1];
 *             struct idtable_entry by_id;
 *     };
 *
 *     idtable_add(&jobs, &job->by_id, job->id);
 *     found = IDTABLE_OBJECT(idtable_find(&jobs, id), struct job, by_id);    // NULL if absent
 *     idtable_remove(&jobs, &job->by_id);
 *
 * The table doubles its buckets when it holds more entries than buckets. If there is no memory for
 * that, it keeps the old ones and its chains grow longer. It never shrinks. It sets no limit on the
 * number of entries: the caller does.
 *
 * Ownership: the objects and their ids belong to the caller, who keeps both unchanged while they
 * are in the table. Thread rule: no lock of its own; the caller serialises all calls.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct idtable_entry {
        struct idtable_entry *next; /* in the same bucket */
        const char *id;
        uint32_t hash;
};

struct idtable {
        struct idtable_entry **buckets;
        size_t n_buckets; /* a power of two */
        size_t n_entries;
};

/* The object that contains the entry; NULL for NULL. */
#define IDTABLE_OBJECT(entry, type, member)                                                        \
        ({                                                                                         \
                struct idtable_entry *_entry = (entry);                                            \
                _entry ? (type *)((char *)_entry - offsetof(type, member)) : NULL;                 \
        })

/* FNV-1a. Equal ids have equal hashes. */
uint32_t idtable_hash(const char *id);

/* Makes an empty table with room for `expected` entries before it has to grow. -ENOMEM. */
int idtable_init(struct idtable *ret, size_t expected);

/* Frees the buckets, not the objects. Accepts a table that is all zero. */
void idtable_release(struct idtable *table);

/* Adds an entry. No other entry may have this id. */
void idtable_add(struct idtable *table, struct idtable_entry *entry, const char *id);

/* Removes an entry, which must be in the table. */
void idtable_remove(struct idtable *table, struct idtable_entry *entry);

/* The entry with this id, or NULL. */
struct idtable_entry *idtable_find(const struct idtable *table, const char *id);
