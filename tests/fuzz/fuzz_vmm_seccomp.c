/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --seccomp-filter: accepted, or rejected with a reason. */
#include <stdint.h>
#include <stdlib.h>

#include "vmm/seccomp_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct err err = ERR_INIT;

        if (seccomp_file_inspect((const char *)data, size, &err) < 0 && !err.msg[0])
                abort();
        return 0;
}
