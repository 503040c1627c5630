/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as its family, and arrays that grow. */
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

/* n bytes, aligned to ARENA_ALIGNMENT, zeroed; NULL without memory. */
void *prom_arena_get_(struct arena *arena, size_t n);
void prom_arena_release_(struct arena *arena);

/* Makes room for `need` elements in the array at *p (at least 1); false without memory. */
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
