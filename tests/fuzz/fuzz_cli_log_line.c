/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a log from any server. */
#include "cli/log_stream.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf scratch = BUF_INIT(1 << 20);
        struct log_line line = {0};

        if (log_line_parse((const char *)data, size, &scratch, &line) == 0 &&
            (!line.seq || line.size > scratch.max ||
             (line.stream != WORKLOAD_STDOUT && line.stream != WORKLOAD_STDERR)))
                abort();
        buf_release(&scratch);
        return 0;
}
