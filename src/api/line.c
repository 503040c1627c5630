/* SPDX-License-Identifier: Apache-2.0 */
#include "api/line.h"

#include "api/render.h"
#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <stdbool.h>
#include <string.h>

/* The escape of an ASCII character in a JSON string; NULL if it needs none. */
static const char *escape(uint8_t c, char text[8])
{
        switch (c) {
        case '"':
                return "\\\"";
        case '\\':
                return "\\\\";
        case '\t':
                return "\\t";
        case '\r':
                return "\\r";
        case '\n':
                return "\\n";
        }
        if (c >= 0x20 && c != 0x7f)
                return NULL;
        snprintf(text, 8, "\\u%04x", c);
        return text;
}

/* Appends bytes as the inside of a JSON string. *ret_exact: all of them were valid UTF-8. */
static int add_json(struct buf *ret, const char *s, size_t n, bool *ret_exact)
{
        size_t from = 0, i = 0;
        char text[8];
        int r;

        *ret_exact = true;
        while (i < n) {
                size_t len = utf8_length(s + i, n - i);
                const char *other = len == 0   ? UTF8_REPLACEMENT
                                    : len == 1 ? escape((uint8_t)s[i], text)
                                               : NULL;

                if (!other) {
                        i += len;
                        continue;
                }
                *ret_exact &= len != 0;
                if ((r = buf_add(ret, s + from, i - from)) < 0 ||
                    (r = buf_add(ret, other, strlen(other))) < 0)
                        return r;
                from = ++i;
        }
        return buf_add(ret, s + from, n - from);
}

static int add_base64(struct buf *ret, const struct output_event *line)
{
        size_t n = BASE64_ENCODE_RAW_LENGTH(line->size);
        int r;

        if ((r = buf_printf(ret, ",\"base64\":\"")) < 0 || (r = buf_reserve(ret, n)) < 0)
                return r;
        base64_encode_raw(ret->data + ret->len, line->size, (const uint8_t *)line->bytes);
        buf_commit(ret, n);
        return buf_add(ret, "\"", 1);
}

int api_line_json(struct buf *ret, const struct output_event *line)
{
        char time[API_TIME_MAX];
        bool exact;
        int r;

        if ((r = buf_printf(ret, "{\"seq\":%" PRIu64 ",\"stream\":\"%s\",\"line\":\"", line->seq,
                            line->stream == WORKLOAD_STDOUT ? "stdout" : "stderr")) < 0 ||
            (r = add_json(ret, line->bytes, line->size, &exact)) < 0)
                return r;
        api_time_text(line->created_ms, time);
        if ((r = buf_printf(ret, "\",\"created_at\":\"%s\"%s", time,
                            line->partial ? ",\"partial\":true" : "")) < 0 ||
            (!exact && (r = add_base64(ret, line)) < 0))
                return r;
        return buf_add(ret, "}", 1);
}

int api_line_data(struct buf *ret, const struct output_event *line)
{
        const char *s = line->bytes;
        size_t n = line->size, from = 0, i = 0;
        int r = buf_add(ret, "data: ", 6);

        if (!line->partial && n && s[n - 1] == '\r')
                n--;
        while (i < n && r == 0) {
                size_t len = utf8_length(s + i, n - i);
                bool plain = len && s[i] != '\r' && s[i] != '\n' && s[i] != '\0';

                if (plain) {
                        i += len;
                        continue;
                }
                if ((r = buf_add(ret, s + from, i - from)) < 0)
                        return r;
                r = len && s[i] ? buf_add(ret, "\ndata: ", 7)
                                : buf_add(ret, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
                from = ++i;
        }
        if (r < 0 || (r = buf_add(ret, s + from, n - from)) < 0)
                return r;
        return buf_add(ret, "\n", 1);
}
