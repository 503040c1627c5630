/* SPDX-License-Identifier: Apache-2.0 */
/* Any settings file is accepted, or rejected with a message of one line. */
#include "config/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct err err = ERR_INIT;
        struct settings s;
        int r;

        settings_init(&s);
        r = settings_take_file(&s, (const char *)data, size, "fuzz", &err);
        if ((r < 0) != (err.code != 0) || (r < 0 && !err.msg[0]))
                abort();
        for (size_t i = 0; r == 0 && i < settings_count(); i++) {
                struct buf text = BUF_INIT(2 * SETTINGS_TEXT_MAX);

                if (settings_value_text(&s, i, &text) < 0)
                        abort();
                buf_release(&text);
        }
        return 0;
}
