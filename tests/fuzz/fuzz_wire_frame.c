/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding a stream gives the same frames and the same result in one piece and cut in two. */
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t take(const uint8_t *bytes, size_t n, unsigned *sum, ssize_t *end)
{
        struct wire_frame f;
        struct err err = ERR_INIT;
        size_t at = 0;
        ssize_t r;

        while ((r = wire_decode(bytes + at, n - at, &f, &err)) > 0) {
                if ((size_t)r != WIRE_HEADER_SIZE + f.len || at + (size_t)r > n ||
                    f.payload != bytes + at + WIRE_HEADER_SIZE ||
                    !strcmp(wire_type_name(f.type), "unknown"))
                        abort();
                for (uint32_t i = 0; i < f.len; i++)
                        *sum = *sum * 31 + f.payload[i];
                *sum = *sum * 31 + f.type;
                at += (size_t)r;
        }
        if (r < 0 && err.msg[0] == '\0')
                abort();
        *end = r;
        return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned whole = 0, parts = 0;
        ssize_t end_whole, end_parts;
        size_t at;

        take(data, size, &whole, &end_whole);
        at = take(data, size / 2, &parts, &end_parts);
        if (end_parts == 0)
                take(data + at, size - at, &parts, &end_parts);
        if (whole != parts || end_whole != end_parts)
                abort();
        return 0;
}
