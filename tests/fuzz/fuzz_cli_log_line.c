/* SPDX-License-Identifier: Apache-2.0 */
/* A line event and a record as any server may send them. */
#include "cli/log_stream.h"
#include "cli/run_remote.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf scratch = BUF_INIT(1 << 20);
        struct log_line line = {0};
        struct run_end end = {0};
        struct err say;
        json_t *record;

        if (log_line_parse((const char *)data, size, &scratch, &line) == 0 &&
            (!line.seq || line.size > scratch.max ||
             (line.stream != WORKLOAD_STDOUT && line.stream != WORKLOAD_STDERR)))
                abort();
        record = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
        if (record && run_remote_end(record, &end) == 0) {
                int code = run_exit_code(&end, &say);

                if (code < 0 || code > 255)
                        abort();
        }
        json_decref(record);
        buf_release(&scratch);
        return 0;
}
