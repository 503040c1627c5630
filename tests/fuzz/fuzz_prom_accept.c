/* SPDX-License-Identifier: Apache-2.0 */
/* Any Accept header selects an existing format, whose content type selects the same format. */
#include "prom/prom.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *accept = malloc(size + 1);
        if (!accept)
                return 0;
        memcpy(accept, data, size);
        accept[size] = '\0';
        struct prom_format format = prom_negotiate(accept);
        struct prom_format again = prom_negotiate(prom_content_type(format));
        if (format.kind != again.kind || format.escaping != again.escaping)
                abort();
        if (format.kind == PROM_TEXT_0_0_4 && format.escaping == PROM_ALLOW_UTF8)
                abort();
        free(accept);
        return 0;
}
