/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a struct prom_buf, while a scrape writes them. A buffer belongs to one thread. */
#pragma once

#include "prom/atomic.h"
#include "prom/prom.h"

#include <stdbool.h>

/* Every reservation includes this many bytes: for a number and a newline, and for copies that write
 * past the end of what they copy. */
enum { LINE_EXTRA = 64 };

bool prom_buf_grow_(struct prom_buf *buf, size_t n);

/* Makes room for n bytes and LINE_EXTRA more at the end. False without memory. */
static inline bool prom_reserve_(struct prom_buf *buf, size_t n)
{
        return likely(buf->cap - buf->len > n + LINE_EXTRA) || prom_buf_grow_(buf, n);
}

/* Appends n bytes. False without memory. */
bool prom_put_bytes_(struct prom_buf *buf, const char *bytes, size_t n);

/* Sets the length so that the data ends at `end`. */
static inline void prom_set_end_(struct prom_buf *buf, const char *end)
{
        buf->len = (size_t)(end - buf->data);
}
