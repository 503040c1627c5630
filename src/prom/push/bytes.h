/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing array of bytes, and Protocol Buffers in it. Once memory has run out, `failed` stays set
 * and additions do nothing, so only the end of a long construction needs a check. Not shared by
 * threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
        char *data; /* a NUL follows the last byte */
        size_t len;
        size_t cap;
        bool failed;
};

void bytes_add(struct bytes *b, const void *data, size_t n);
void bytes_string(struct bytes *b, const char *s);
void bytes_release(struct bytes *b);

/* The wire format: https://protobuf.dev/programming-guides/encoding/ */
void bytes_varint(struct bytes *b, uint64_t v);
void bytes_field_varint(struct bytes *b, unsigned field, uint64_t v); /* nothing if v is 0 */
void bytes_field_double(struct bytes *b, unsigned field, uint64_t bits);
void bytes_field_bytes(struct bytes *b, unsigned field, const void *data, size_t n);
static inline uint64_t zigzag(int64_t v)
{
        return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}
