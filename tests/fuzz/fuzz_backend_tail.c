/* SPDX-License-Identifier: Apache-2.0 */
/* Any output of a guest's console or a VMM's log becomes one bounded line of printable ASCII. */
#include "backend/firecracker/tail.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
        if (strlen(text) >= size)
                abort();
        for (; *text; text++) {
                if (*text < ' ' || *text > '~')
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t room = size ? 2 + data[0] : 2;
        struct fc_tail t = {.len = 0};
        char *text = malloc(room);

        if (!text)
                return 0;
        fc_tail_add(&t, (const char *)data, size);
        fc_tail_lines(&t, text, room);
        check(text, room);
        if (fc_tail_panic(&t, text, room) != (*text != '\0'))
                abort();
        check(text, room);
        fc_tail_reason(&t, text, room);
        check(text, room);
        fc_tail_triple_fault(&t);
        free(text);
        return 0;
}
