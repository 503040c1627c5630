/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK_FIRST = 512, ARENA_CHUNK_LAST = 256 << 10 };

struct arena_chunk {
        struct arena_chunk *next;
        size_t unused; /* keeps data aligned */
        char data[];
};

_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGNMENT == 0, "data must be aligned");

void *prom_arena_get_(struct arena *arena, size_t n)
{
        n = (n + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
        if (n > arena->left) {
                size_t size = arena->chunk_size ? arena->chunk_size : ARENA_CHUNK_FIRST;
                if (arena->chunk_size < ARENA_CHUNK_LAST)
                        arena->chunk_size = size * 2;
                if (size < n)
                        size = n;
                struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);
                if (!chunk)
                        return NULL;
                chunk->next = arena->chunks;
                arena->chunks = chunk;
                arena->next = chunk->data;
                arena->left = size;
        }
        void *p = arena->next;
        arena->next += n;
        arena->left -= n;
        return p;
}

void prom_arena_release_(struct arena *arena)
{
        while (arena->chunks) {
                struct arena_chunk *next = arena->chunks->next;
                free(arena->chunks);
                arena->chunks = next;
        }
        *arena = (struct arena){0};
}

void *prom_grow_(void *array, size_t *cap, size_t need, size_t size)
{
        size_t more = *cap ? *cap * 2 : 16;
        void *p = reallocarray(array, more < need ? need : more, size);
        if (p)
                *cap = more < need ? need : more;
        return p;
}
