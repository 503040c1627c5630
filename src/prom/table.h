/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label values as keys, and the hash tables that find series by them.
 *
 * Look-ups take no lock. This is correct because
 *
 * - an entry's key is stored last, with release, and loaded with acquire: whoever sees the key sees
 *   its values, hash and series;
 * - a table that becomes too full is replaced by a larger copy and kept for its readers. A reader
 *   of the old table misses later insertions, as if it had come before them;
 * - removal shifts entries, so a concurrent reader can miss a key that is in the table. `moves` of
 *   the family is odd during a removal and changed after it. A look-up without table_lock that
 *   finds nothing relies on that only if `moves` was even before and is unchanged after; otherwise
 *   it looks again under the lock;
 * - a removed key is rewritten only after a grace period (grace.h), and even then a reader finds
 *   NULs at the end of its values and a series of the same family.
 */
#pragma once

#include "prom/words.h"

#include <stdbool.h>
#include <stddef.h>

struct prom_family;
struct prom_series;

/* The label values of a series. */
struct key {
        struct prom_series *series; /* in the table of a curried family, the series of its base */
        char *values;               /* one after the other, each with its NUL, and one more NUL */
        struct key *next_spare;
        uint32_t room;     /* bytes for values */
        uint32_t spared_s; /* when it was removed from its table, in seconds of prom_now_ns() */
        words16 first[];   /* the beginning of each value. The sizes of the values including their
                              NUL follow, as uint16_t */
};

struct table_entry {
        uint64_t hash;
        struct key *key; /* stored last, with release */
};

struct table {
        size_t mask;
        size_t used;
        struct table *older; /* the table that this one replaced */
        struct table_entry entries[];
};

/* With table_lock held: a new id for a family, which seeds the hashes of its table. The ids are not
 * predictable from outside of the process, so that nobody can choose label values with equal
 * hashes. */
uint64_t prom_family_id_(void);

uint64_t prom_hash_values_(uint64_t seed, const char *const *values, size_t n);

/* The value after `value`, which is number i of n. */
const char *prom_key_next_(const struct key *key, const char *value, size_t i, size_t n);

/* The key with these values in the family's table, or NULL. Without table_lock, NULL is reliable
 * only if `moves` was even and is unchanged: see above. */
struct key *prom_table_find_(const struct prom_family *family, const char *const *values);

/* The functions below need table_lock. */

/* Creates a key with these clean values, in no table and without a series; NULL without memory. A
 * key that was removed from its table becomes spare: after the grace period another one gets its
 * memory. An unused key, which no reader can have seen, is reused immediately. */
struct key *prom_key_new_(struct prom_family *family, const char *const *values);
void prom_key_spare_(struct prom_family *family, struct key *key);
void prom_key_unused_(struct prom_family *family, struct key *key);

/* Makes room for one more entry; false without memory. */
bool prom_table_reserve_(struct prom_family *family);
void prom_table_put_(struct prom_family *family, struct key *key);
void prom_table_remove_(struct prom_family *family, struct key *key); /* if it is there */
void prom_tables_free_(struct prom_family *family);
