/* SPDX-License-Identifier: Apache-2.0 */
/* Label values as keys, and the tables that find them. */
#include "prom/table.h"

#include "prom/clock.h"
#include "prom/family.h"
#include "prom/grace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

enum {
        TABLE_FIRST = 16,
        TABLE_SMALL = 8192, /* entries, 128 KiB */
};

/* ---- hashing and comparing ---------------------------------------------------------------- */

/* The seed is the id of the family, so equal values have different hashes in different families. */
uint64_t prom_hash_values_(uint64_t seed, const char *const *values, size_t n)
{
        uint64_t hash = seed;
        for (size_t i = 0; i < n; i++) {
                const char *s = values[i] ? values[i] : "";
                words16 w = words_of(s);
                for (hash = words_mix(hash, w); words_full(w); hash = words_mix(hash, w))
                        w = words_of(s += WORDS_SIZE);
        }
        return hash;
}

static inline uint16_t *sizes_of(const struct key *key, size_t n)
{
        return (uint16_t *)(key->first + n);
}

const char *prom_key_next_(const struct key *key, const char *value, size_t i, size_t n)
{
        return value + sizes_of(key, n)[i];
}

static inline bool key_equals(const struct key *key, const char *const *values, size_t n)
{
        const char *p = key->values;
        for (size_t i = 0; i < n; i++) {
                if (strcmp(values[i] ? values[i] : "", p) != 0)
                        return false;
                p = prom_key_next_(key, p, i, n);
        }
        return true;
}

/* ---- seeds ---------------------------------------------------------------------------------- */

uint64_t prom_hash_secret_ = UINT64_C(0x9e3779b97f4a7c15);

/* The first id comes from the random bytes that the kernel gives each process. With predictable
 * seeds, a client could send label values with equal hashes, and each look-up would walk through
 * the whole family. */
uint64_t prom_family_id_(void)
{
        static uint64_t last_id;
        const void *random = (const void *)(uintptr_t)getauxval(AT_RANDOM);
        words16 bytes = {0, 0};
        if (last_id == 0 && random) {
                memcpy(&bytes, random, sizeof(bytes));
                last_id = words_mix(UINT64_C(0x243f6a8885a308d3), bytes);
                prom_hash_secret_ = words_mix(last_id, bytes);
        }
        last_id += last_id == UINT64_MAX ? 2 : 1;
        return last_id;
}

/* ---- keys, with table_lock held ------------------------------------------------------------ */

/* Memory for a key whose values take `len` bytes. Reuses that of the key removed first, once its
 * grace period is over. A reader that were still comparing it would find a NUL after the values at
 * any time, and a series of this family. */
static struct key *key_room(struct prom_family *family, size_t head, size_t len)
{
        struct key *key = family->spare_first;
        size_t room = len;
        if (key && prom_grace_is_over_(key->spared_s * NS_PER_S)) {
                grace_begin_writing();
                family->spare_first = key->next_spare;
                if (key->room >= len)
                        return key;
                if (room < 2 * (size_t)key->room) /* bounds the memory that is abandoned */
                        room = 2 * (size_t)key->room;
        }
        key = prom_arena_get_(&family->arena, head + room + 1);
        if (!key)
                return NULL;
        key->room = (uint32_t)room;
        key->values = (char *)key + head;
        return key;
}

struct key *prom_key_new_(struct prom_family *family, const char *const *values)
{
        const unsigned n = family->n_labels;
        size_t len = 0;
        for (unsigned i = 0; i < n; i++)
                len += strlen(values[i]) + 1;
        struct key *key = key_room(
                family, sizeof(struct key) + n * (sizeof(words16) + sizeof(uint16_t)), len);
        if (!key)
                return NULL;
        char *p = key->values;
        for (unsigned i = 0; i < n; i++) {
                const uint16_t size = (uint16_t)(strlen(values[i]) + 1);
                key->first[i] = words_of(values[i]);
                sizes_of(key, n)[i] = size;
                p = mempcpy(p, values[i], size);
        }
        return key;
}

void prom_key_spare_(struct prom_family *family, struct key *key)
{
        key->next_spare = NULL;
        key->spared_s = (uint32_t)(prom_now_ns() / NS_PER_S);
        if (family->spare_first)
                family->spare_last->next_spare = key;
        else
                family->spare_first = key;
        family->spare_last = key;
}

void prom_key_unused_(struct prom_family *family, struct key *key)
{
        key->next_spare = family->spare_first;
        key->spared_s = 0;
        if (!family->spare_first)
                family->spare_last = key;
        family->spare_first = key;
}

/* ---- the table ---------------------------------------------------------------------------- */

struct key *prom_table_find_(const struct prom_family *family, const char *const *values)
{
        const size_t n = family->n_labels;
        const uint64_t hash = prom_hash_values_(family->id, values, n);
        const struct table *table = LOAD_ACQUIRE(&family->table);
        struct key *found = NULL;
        for (size_t i = hash; table; i++) {
                const struct table_entry *entry = &table->entries[i & table->mask];
                struct key *key = LOAD_ACQUIRE(&entry->key);
                if (key && (LOAD(&entry->hash) != hash || !key_equals(key, values, n)))
                        continue;
                found = key;
                break;
        }
        grace_end_reading();
        return found;
}

static void set_entry(struct table_entry *entry, uint64_t hash, struct key *key)
{
        STORE(&entry->hash, hash);
        STORE_RELEASE(&entry->key, key);
}

static void put(struct table *table, uint64_t hash, struct key *key)
{
        size_t i = hash & table->mask;
        while (table->entries[i].key)
                i = (i + 1) & table->mask;
        set_entry(&table->entries[i], hash, key);
        table->used++;
}

/* Keeps the table at most half full, a small one a quarter, so that most look-ups need one probe.
 */
bool prom_table_reserve_(struct prom_family *family)
{
        struct table *old = family->table;
        if (old && (old->used + 1) * (old->mask < TABLE_SMALL ? 4 : 2) <= old->mask + 1)
                return true;
        size_t n = old ? (old->mask + 1) * 2 : TABLE_FIRST;
        struct table *table = calloc(1, sizeof(*table) + n * sizeof(table->entries[0]));
        if (!table)
                return false;
        table->mask = n - 1;
        table->older = old;
        for (size_t i = 0; old && i <= old->mask; i++)
                if (old->entries[i].key)
                        put(table, old->entries[i].hash, old->entries[i].key);
        STORE_RELEASE(&family->table, table);
        return true;
}

static uint64_t hash_of_key(const struct prom_family *family, const struct key *key)
{
        const char *values[PROM_LABELS_MAX], *p = key->values;
        for (unsigned i = 0; i < family->n_labels; i++) {
                values[i] = p;
                p = prom_key_next_(key, p, i, family->n_labels);
        }
        return prom_hash_values_(family->id, values, family->n_labels);
}

void prom_table_put_(struct prom_family *family, struct key *key)
{
        put(family->table, hash_of_key(family, key), key);
}

/* Closes the gap that a removal leaves in a linearly probed table (Knuth, The Art of Computer
 * Programming, 6.4, algorithm R). A concurrent look-up may miss a key that is being moved; `moves`
 * tells it. */
static void close_gap(struct table *table, size_t gap)
{
        struct table_entry *entries = table->entries;
        for (size_t i = (gap + 1) & table->mask; entries[i].key; i = (i + 1) & table->mask) {
                const size_t home = entries[i].hash & table->mask;
                if (((i - home) & table->mask) < ((i - gap) & table->mask))
                        continue; /* its home is after the gap */
                set_entry(&entries[gap], entries[i].hash, entries[i].key);
                gap = i;
        }
        STORE_RELEASE(&entries[gap].key, NULL);
        table->used--;
}

void prom_table_remove_(struct prom_family *family, struct key *key)
{
        struct table *table = family->table;
        size_t i = hash_of_key(family, key) & table->mask;
        while (table->entries[i].key && table->entries[i].key != key)
                i = (i + 1) & table->mask;
        if (!table->entries[i].key)
                return;
        /* The fence keeps the stores of close_gap() after the odd value; the release below keeps
         * them before the even one. A reader that saw a moved entry therefore sees that `moves` has
         * changed. */
        STORE(&family->moves, family->moves + 1);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        close_gap(table, i);
        STORE_RELEASE(&family->moves, family->moves + 1);
}

void prom_tables_free_(struct prom_family *family)
{
        while (family->table) {
                struct table *older = family->table->older;
                free(family->table);
                family->table = older;
        }
}
