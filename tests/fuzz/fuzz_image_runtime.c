/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of runtimes, and the commands that are made from valid ones. */
#include "image/image.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *args[] = {"one", "two words"};
        struct image_runtime r;
        const char **argv;
        size_t argc;
        char *text = strndup((const char *)data, size);

        if (!text)
                return 0;
        if (image_parse_runtime(text, "fuzz", &r, NULL) == 0) {
                if (image_command(&r, r.entrypoint, args, 2, &argv, &argc, NULL) == 0)
                        free(argv);
                image_runtime_release(&r);
        }
        free(text);
        return 0;
}
