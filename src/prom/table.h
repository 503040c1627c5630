/* SPDX-License-Identifier: Apache-2.0 */
/* Label values as keys, and the tables that find series by them. */
#pragma once

#include "prom/words.h"

#include <stdbool.h>
#include <stddef.h>

struct prom_family;
struct prom_series;

/* A series as the table knows it. */
struct key {
        struct prom_series *series; /* of the base, in the table of a curried family */
        char *values;               /* each with its NUL, one after the other; then one more */
        struct key *next_spare;
        uint32_t room;     /* for values */
        uint32_t spared_s; /* when it became a spare one, by prom_now_ns(); see recycle.c */
        words16 first[];   /* of each value; see words.h. Behind them, as uint16_t, the sizes of the
                            values, the NUL included */
};

struct table_entry {
        uint64_t hash;
        struct key *key; /* stored last, with release */
};

struct table {
        size_t mask;
        size_t used;
        struct table *older; /* replaced ones are kept for readers */
        struct table_entry entries[];
};

/* With table_lock held: an id that was never used. */
uint64_t prom_family_id_(void);

uint64_t prom_hash_values_(uint64_t seed, const char *const *values, size_t n);

/* The value behind `value`, which is number i of n. */
const char *prom_key_next_(const struct key *key, const char *value, size_t i, size_t n);

/* The key with these values in the family's table, or NULL. Without table_lock NULL means nothing if
 * `moves` was odd or has changed. */
struct key *prom_table_find_(const struct prom_family *family, const char *const *values);

/* The rest with table_lock held. A key with these clean values that is in no table and of no series
 * yet; NULL without memory. One that was removed from its table becomes a spare one, and so does one
 * that nobody has seen. */
struct key *prom_key_new_(struct prom_family *family, const char *const *values);
void prom_key_spare_(struct prom_family *family, struct key *key);
void prom_key_unused_(struct prom_family *family, struct key *key);

/* Makes room for one more entry; false without memory. */
bool prom_table_reserve_(struct prom_family *family);
void prom_table_put_(struct prom_family *family, struct key *key);
void prom_table_remove_(struct prom_family *family, struct key *key); /* if it is there */
void prom_tables_free_(struct prom_family *family);
