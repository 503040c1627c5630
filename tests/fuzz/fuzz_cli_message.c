/* SPDX-License-Identifier: Apache-2.0 */
/* Error messages from any server, in which `vulcan run` replaces the API's field by a flag. */
#include "cli/run_flags.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char server[] = "http://h:1";
        struct err err = ERR_INIT;

        err_set(&err, 22, "%s: %.*s", server, (int)(size > 4096 ? 4096 : size), (const char *)data);
        run_flags_name("--archive x.zip", server, &err);
        if (err.code != 22 || strncmp(err.msg, server, strlen(server)) != 0 ||
            strlen(err.msg) >= sizeof(err.msg))
                abort();
        return 0;
}
