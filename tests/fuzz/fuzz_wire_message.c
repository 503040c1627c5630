/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte selects the message (H, Q, F, R); the rest is its JSON. An accepted message can be
 * encoded again, and the result is accepted too.
 */
#include "wire/message.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND_TRIP(noun)                                                                           \
        static void noun(const void *bytes, size_t n)                                              \
        {                                                                                          \
                struct buf b = BUF_INIT(WIRE_CONTROL_MAX);                                         \
                struct wire_##noun m, again;                                                       \
                struct err err = ERR_INIT;                                                         \
                                                                                                   \
                if (wire_##noun##_decode(bytes, n, &m, &err) < 0) {                                \
                        if (err.msg[0] == '\0')                                                    \
                                abort();                                                           \
                        return;                                                                    \
                }                                                                                  \
                if (wire_##noun##_encode(&m, &b, &err) < 0) {                                      \
                        /* Escapes may make it longer than the input. */                           \
                        if (err.code != EMSGSIZE)                                                  \
                                abort();                                                           \
                } else {                                                                           \
                        if (wire_##noun##_decode(b.data, b.len, &again, &err) < 0)                 \
                                abort();                                                           \
                        wire_##noun##_release(&again);                                             \
                }                                                                                  \
                wire_##noun##_release(&m);                                                         \
                buf_release(&b);                                                                   \
        }

ROUND_TRIP(hello)
ROUND_TRIP(request)
ROUND_TRIP(result)
ROUND_TRIP(file)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        if (data[0] == 'H')
                hello(data + 1, size - 1);
        else if (data[0] == 'Q')
                request(data + 1, size - 1);
        else if (data[0] == 'F')
                file(data + 1, size - 1);
        else
                result(data + 1, size - 1);
        return 0;
}
