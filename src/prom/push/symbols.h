/* SPDX-License-Identifier: Apache-2.0 */
/* The symbol table of a remote-write 2.0 request: each string once, known by its number. */
#pragma once

#include "prom/push/bytes.h"

struct symbols {
        struct bytes text; /* each as field 4 of a Request; `failed` if memory ran out */
        struct symbol *list;
        size_t n, cap;
        uint32_t *table; /* numbers + 1, by hash */
        size_t table_size;
};

/* The number of the string, which is added if it is new. 0 is "". */
uint32_t prom_push_symbol_(struct symbols *symbols, const char *text);
void prom_push_symbols_release_(struct symbols *symbols);
