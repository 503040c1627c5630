/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses to GET /metrics from any server, of which `vulcan run --metrics` prints some lines. The
 * first byte of the input selects whether to print all of Vulcan's metrics.
 */
#include "cli/metrics_filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
        bool all = size && (data[0] & 1);

        if (!size)
                return 0;
        if (metrics_filter((const char *)data + 1, size - 1, all, &once) < 0)
                abort();
        /* The filter removes whole lines, and changes nothing when applied to its own output. */
        if (once.len > size - 1 ||
            (once.len && metrics_filter(once.data, once.len, all, &twice) < 0) ||
            once.len != twice.len || (once.len && memcmp(once.data, twice.data, once.len) != 0))
                abort();
        buf_release(&once);
        buf_release(&twice);
        return 0;
}
