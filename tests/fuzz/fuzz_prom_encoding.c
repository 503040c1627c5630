/* SPDX-License-Identifier: Apache-2.0 */
/* Any Accept-Encoding selects a coding that is built in, or none. */
#include "prom/encoding.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *header = malloc(size + 1);
        if (!header)
                return 0;
        memcpy(header, data, size);
        header[size] = '\0';
        int large = prom_choose_encoding_(header, false);
        int small = prom_choose_encoding_(header, true);
        if (large >= N_ENCODINGS || (large >= 0 && !prom_encoding_built_(large)))
                abort();
        /* A small body can change the choice only to identity, and never to an error. */
        if ((large < 0) != (small < 0) || (small != large && small != ENCODING_IDENTITY))
                abort();
        free(header);
        return 0;
}
