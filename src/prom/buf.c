/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/buf.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 4096 };

bool prom_buf_grow_(struct prom_buf *buf, size_t n)
{
        size_t cap = buf->cap ? buf->cap : BUFFER_FIRST;
        while (cap - buf->len <= n + LINE_EXTRA)
                cap *= 2;
        char *data = realloc(buf->data, cap);
        if (!data)
                return false;
        buf->data = data;
        buf->cap = cap;
        return true;
}

bool prom_put_bytes_(struct prom_buf *buf, const char *bytes, size_t n)
{
        if (!prom_reserve_(buf, n))
                return false;
        memcpy(buf->data + buf->len, bytes, n);
        buf->len += n;
        return true;
}
