/* SPDX-License-Identifier: Apache-2.0 */
/* Any event stream gives the same events in one piece and byte by byte. */
#include "http/sse_reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(void *ctx, const struct sse_event *e)
{
        struct buf *seen = ctx;

        if (strlen(e->event) >= SSE_NAME_MAX || strlen(e->id) >= SSE_NAME_MAX ||
            e->data[e->size] != '\0')
                abort();
        buf_printf(seen, "%s %s %zu ", e->event, e->id, e->size);
        buf_add(seen, e->data, e->size);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf whole = BUF_INIT(1 << 20), pieces = BUF_INIT(1 << 20);
        struct sse_reader a = SSE_READER_INIT(note, &whole), b = SSE_READER_INIT(note, &pieces);
        int r = sse_reader_feed(&a, (const char *)data, size), s = 0;

        for (size_t i = 0; i < size && s == 0; i++)
                s = sse_reader_feed(&b, (const char *)data + i, 1);
        if (r != s || whole.len != pieces.len ||
            (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
                abort();
        sse_reader_release(&a);
        sse_reader_release(&b);
        buf_release(&whole);
        buf_release(&pieces);
        return 0;
}
