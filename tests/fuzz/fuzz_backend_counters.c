/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that a VMM writes to its metrics file. */
#include "backend/firecracker/counters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fc_counters c = {0};

        fc_counters_add_line(&c, (const char *)data, size);
        return 0;
}
