/* SPDX-License-Identifier: Apache-2.0 */
/* Framing gives the same result for one piece and byte by byte. If a piece contains complete
 * requests, their part of it contains as many when it is read alone. */
#include "http/framing.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http_framing a = HTTP_FRAMING_INIT, b = HTTP_FRAMING_INIT, c = HTTP_FRAMING_INIT;

        http_framing_feed(&a, (const char *)data, size);
        for (size_t i = 0; i < size; i++)
                http_framing_feed(&b, (const char *)data + i, 1);
        if (a.status != b.status || a.fault != b.fault || a.n_whole != b.n_whole ||
            http_framing_is_partial(&a) != http_framing_is_partial(&b) ||
            http_framing_is_over(&a) != http_framing_is_over(&b) || a.begin > size)
                abort();
        http_framing_feed(&c, (const char *)data, a.begin);
        if (c.status || c.n_whole != a.n_whole || http_framing_is_partial(&c))
                abort();
        return 0;
}
