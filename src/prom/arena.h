/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas, whose memory lives as long as a family; and growing arrays. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { ARENA_ALIGNMENT = 16 };

struct arena {
        struct arena_chunk *chunks;
        char *next;
        size_t left;
        size_t chunk_size;
};

/* n zero bytes, aligned to ARENA_ALIGNMENT; NULL without memory. They are freed only with the whole
 * arena: use it for what the family keeps, and reuse what it replaces. */
void *prom_arena_get_(struct arena *arena, size_t n);
void prom_arena_release_(struct arena *arena);

/* Makes room for `need` (at least 1) elements in the array *p of *cap elements, at least doubling
 * it when it grows. False without memory; the array is unchanged then. */
#define GROW(p, cap, need)                                                                         \
        ({                                                                                         \
                const size_t need_ = (need);                                                       \
                void *grown_ = *(p);                                                               \
                if (need_ > *(cap))                                                                \
                        grown_ = prom_grow_(*(p), (cap), need_, sizeof(**(p)));                    \
                if (grown_)                                                                        \
                        *(p) = grown_;                                                             \
                grown_ != NULL;                                                                    \
        })
void *prom_grow_(void *array, size_t *cap, size_t need, size_t size);
