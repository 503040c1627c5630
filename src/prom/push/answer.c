/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an answer: its counts from the header, its first line from the body. */
#include "prom/push/io.h"

#include <string.h>
#include <strings.h>

static bool skip_prefix(const char **bytes, size_t *n, const char *prefix)
{
        size_t len = strlen(prefix);
        if (*n < len || strncasecmp(*bytes, prefix, len) != 0)
                return false;
        *bytes += len;
        *n -= len;
        return true;
}

void prom_push_take_header_(struct push_answer *answer, const char *bytes, size_t n)
{
        if (!skip_prefix(&bytes, &n, "x-prometheus-remote-write-"))
                return;
        uint64_t exemplars, *into = skip_prefix(&bytes, &n, "samples-written:") ? &answer->samples
                                    : skip_prefix(&bytes, &n, "histograms-written:")
                                            ? &answer->histograms
                                    : skip_prefix(&bytes, &n, "exemplars-written:") ? &exemplars
                                                                                    : NULL;
        if (!into)
                return;
        uint64_t number = 0;
        while (n && (*bytes == ' ' || *bytes == '\t'))
                bytes++, n--;
        for (; n && *bytes >= '0' && *bytes <= '9' && number < UINT64_MAX / 10 - 1; bytes++, n--)
                number = number * 10 + (uint64_t)(*bytes - '0');
        answer->counted = true;
        *into = number;
}

void prom_push_take_body_(struct push_answer *answer, const char *bytes, size_t n)
{
        size_t len = strlen(answer->line);
        answer->read += n;
        for (size_t i = 0; i < n && !answer->line_ended; i++) {
                unsigned char c = (unsigned char)bytes[i];
                if (c == '\n' || c == '\r')
                        answer->line_ended = len > 0;
                else if (len < PUSH_LINE_MAX)
                        answer->line[len++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
                else
                        answer->line_ended = true;
        }
        answer->line[len] = '\0';
}
