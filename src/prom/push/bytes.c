/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/push/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_FIRST = 1024, WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2 };

static bool reserve(struct bytes *b, size_t n)
{
        if (b->failed)
                return false;
        if (b->cap - b->len > n)
                return true;
        size_t cap = b->cap ? b->cap : BYTES_FIRST;
        while (cap - b->len <= n)
                cap *= 2;
        char *data = realloc(b->data, cap);
        if (!data) {
                b->failed = true;
                return false;
        }
        b->data = data;
        b->cap = cap;
        return true;
}

void bytes_add(struct bytes *b, const void *data, size_t n)
{
        if (!reserve(b, n))
                return;
        if (n)
                memcpy(b->data + b->len, data, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void bytes_string(struct bytes *b, const char *s)
{
        bytes_add(b, s, strlen(s));
}

void bytes_release(struct bytes *b)
{
        free(b->data);
        *b = (struct bytes){0};
}

void bytes_varint(struct bytes *b, uint64_t v)
{
        char out[10];
        size_t n = 0;
        for (; v >= 0x80; v >>= 7)
                out[n++] = (char)(v | 0x80);
        out[n++] = (char)v;
        bytes_add(b, out, n);
}

void bytes_field_varint(struct bytes *b, unsigned field, uint64_t v)
{
        if (v == 0)
                return;
        bytes_varint(b, field << 3 | WIRE_VARINT);
        bytes_varint(b, v);
}

void bytes_field_double(struct bytes *b, unsigned field, uint64_t bits)
{
        char out[8];
        for (size_t i = 0; i < sizeof(out); i++)
                out[i] = (char)(bits >> 8 * i);
        bytes_varint(b, field << 3 | WIRE_DOUBLE);
        bytes_add(b, out, sizeof(out));
}

void bytes_field_bytes(struct bytes *b, unsigned field, const void *data, size_t n)
{
        bytes_varint(b, field << 3 | WIRE_BYTES);
        bytes_varint(b, n);
        bytes_add(b, data, n);
}
