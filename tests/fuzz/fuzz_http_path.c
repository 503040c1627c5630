/* SPDX-License-Identifier: Apache-2.0 */
/* Matches a path with a pattern, given as two lines, and makes a JSON string of any text. */
#include "http/route.h"
#include "json/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1), *path;
        struct http_params params;
        json_t *json;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        json = json_string_lossy(text);
        if (!json)
                abort();
        json_decref(json);
        path = strchr(text, '\n');
        if (path) {
                *path++ = '\0';
                if (http_route_matches(text, path, &params) && params.n > HTTP_PARAMS_MAX)
                        abort();
        }
        free(text);
        return 0;
}
