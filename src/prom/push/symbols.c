/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/push/symbols.h"

#include <stdlib.h>
#include <string.h>

enum { SYMBOLS_FIRST = 64, FIELD_SYMBOLS = 4 };

struct symbol {
        size_t offset, len; /* in text */
        uint64_t hash;
};

/* FNV-1a. */
static uint64_t hash_of(const char *text, size_t n)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < n; i++)
                hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static void insert(const struct symbols *s, uint32_t number)
{
        size_t i = s->list[number].hash & (s->table_size - 1);
        while (s->table[i])
                i = (i + 1) & (s->table_size - 1);
        s->table[i] = number + 1;
}

/* Makes room for one more; the table stays at most half full. */
static bool grow(struct symbols *s)
{
        if (s->n < s->cap)
                return true;
        size_t cap = s->cap ? s->cap * 2 : SYMBOLS_FIRST;
        struct symbol *list = realloc(s->list, cap * sizeof(*list));
        if (list)
                s->list = list;
        uint32_t *table = list ? calloc(cap * 2, sizeof(*table)) : NULL;
        if (!table)
                return false;
        free(s->table);
        s->cap = cap;
        s->table = table;
        s->table_size = cap * 2;
        for (uint32_t i = 0; i < s->n; i++)
                insert(s, i);
        return true;
}

static uint32_t add(struct symbols *s, const char *text, size_t n, uint64_t hash)
{
        if (s->text.failed || !grow(s)) {
                s->text.failed = true;
                return 0;
        }
        uint32_t number = (uint32_t)s->n++;
        bytes_field_bytes(&s->text, FIELD_SYMBOLS, text, n);
        s->list[number] = (struct symbol){s->text.len - n, n, hash};
        insert(s, number);
        return number;
}

uint32_t prom_push_symbol_(struct symbols *s, const char *text)
{
        if (s->n == 0)
                add(s, "", 0, hash_of("", 0));
        if (s->text.failed)
                return 0;
        size_t n = strlen(text);
        uint64_t hash = hash_of(text, n);
        for (size_t i = hash & (s->table_size - 1); s->table[i];
             i = (i + 1) & (s->table_size - 1)) {
                const struct symbol *other = &s->list[s->table[i] - 1];
                if (other->hash == hash && other->len == n &&
                    memcmp(s->text.data + other->offset, text, n) == 0)
                        return s->table[i] - 1;
        }
        return add(s, text, n, hash);
}

void prom_push_symbols_release_(struct symbols *s)
{
        bytes_release(&s->text);
        free(s->list);
        free(s->table);
        *s = (struct symbols){0};
}
