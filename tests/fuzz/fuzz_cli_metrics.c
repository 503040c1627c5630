/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text exposition, as any server may answer GET /metrics: `vulcan run --metrics` prints some of
 * its lines. The first byte of the input says whether all of Vulcan's metrics are wanted.
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
        /* Whole lines are taken out, and what was picked is picked again. */
        if (once.len > size - 1 ||
            (once.len && metrics_filter(once.data, once.len, all, &twice) < 0) ||
            once.len != twice.len || (once.len && memcmp(once.data, twice.data, once.len) != 0))
                abort();
        buf_release(&once);
        buf_release(&twice);
        return 0;
}
