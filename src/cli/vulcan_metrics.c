/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vulcan_metrics.h"

#include <stdbool.h>
#include <string.h>

static bool begins(const char *line, size_t n, const char *with)
{
        size_t k = strlen(with);

        return n >= k && memcmp(line, with, k) == 0;
}

int vulcan_metrics_only(const char *text, size_t n, struct buf *ret)
{
        const char *end = text + n;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                size_t len = (size_t)((newline ? newline + 1 : end) - text);
                int r;

                if (begins(text, len, "vulcan_") || begins(text, len, "# HELP vulcan_") ||
                    begins(text, len, "# TYPE vulcan_")) {
                        r = buf_add(ret, text, len);
                        if (r < 0)
                                return r;
                }
                text += len;
        }
        return 0;
}
