/* SPDX-License-Identifier: Apache-2.0 */
/* Responses of a receiver of pushes: header lines, an empty line, and a body in pieces. */
#include "prom/push/io.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *p = (const char *)data, *end = p + size;
        struct push_answer answer = {0};
        while (p < end && *p != '\n') {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((newline ? newline + 1 : end) - p);
                prom_push_take_header_(&answer, p, n);
                p += n;
        }
        for (size_t n; p < end; p += n) {
                n = (size_t)(end - p) < PIECE ? (size_t)(end - p) : PIECE;
                prom_push_take_body_(&answer, p, n);
        }
        size_t len = strnlen(answer.line, sizeof(answer.line));
        if (len > PUSH_LINE_MAX)
                abort();
        for (size_t i = 0; i < len; i++)
                if (answer.line[i] < 0x20 || answer.line[i] > 0x7e)
                        abort();
        return 0;
}
