/* SPDX-License-Identifier: Apache-2.0 */
/* For any line of output, its JSON parses and contains the bytes, and its event stays one event. */
#include "api/line.h"

#include <jansson.h>
#include <nettle/base64.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_bytes(json_t *json, const uint8_t *data, size_t n)
{
        json_t *line = json_object_get(json, "line");
        const char *base64 = json_string_value(json_object_get(json, "base64"));
        struct base64_decode_ctx ctx;
        uint8_t *back;
        size_t size;

        if (!base64) {
                if (json_string_length(line) != n || memcmp(json_string_value(line), data, n) != 0)
                        abort();
                return;
        }
        size = BASE64_DECODE_LENGTH(strlen(base64));
        back = malloc(size + 1);
        base64_decode_init(&ctx);
        if (!base64_decode_update(&ctx, &size, back, strlen(base64), base64) || size != n ||
            memcmp(back, data, n) != 0)
                abort();
        free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct output_event line = {.type = OUTPUT_EVENT_LINE,
                                    .seq = 1,
                                    .stream = WORKLOAD_STDOUT,
                                    .bytes = (const char *)data,
                                    .size = n < OUTPUT_LINE_MAX ? n : OUTPUT_LINE_MAX};
        struct buf text = BUF_INIT(1 << 20);
        json_t *json;

        if (api_line_json(&text, &line) < 0)
                abort();
        json = json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        if (!json)
                abort();
        check_bytes(json, data, line.size);
        json_decref(json);

        text.len = 0;
        if (api_line_data(&text, &line) < 0 || strlen(text.data) != text.len)
                abort();
        for (const char *at = text.data; *at; at = strchr(at, '\n') + 1)
                if (strncmp(at, "data: ", 6) != 0 || strchr(at, '\r'))
                        abort();
        buf_release(&text);
        return 0;
}
