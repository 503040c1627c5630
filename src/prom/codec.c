/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/codec.h"

#include <stdlib.h>

enum { BYTES_FIRST = 4096 };

bool prom_bytes_reserve_(struct prom_bytes_ *bytes, size_t n)
{
        if (bytes->cap - bytes->len >= n)
                return true;
        size_t cap = bytes->cap ? bytes->cap : BYTES_FIRST;
        while (cap - bytes->len < n)
                cap *= 2;
        char *data = realloc(bytes->data, cap);
        if (!data)
                return false;
        bytes->data = data;
        bytes->cap = cap;
        return true;
}

void prom_bytes_release_(struct prom_bytes_ *bytes)
{
        free(bytes->data);
        *bytes = (struct prom_bytes_){0};
}
