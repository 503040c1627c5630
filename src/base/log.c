/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug"};
static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
        threshold = level;
}

int log_level_parse(const char *text, enum log_level *ret)
{
        for (int i = 0; i < 4; i++) {
                if (strcmp(text, names[i]) == 0) {
                        *ret = (enum log_level)i;
                        return 0;
                }
        }
        return -EINVAL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
        char line[1024];
        va_list ap;
        int head, n;

        if (level > threshold)
                return;
        head = snprintf(line, sizeof(line), "%s: ", names[level]);
        va_start(ap, fmt);
        vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
        va_end(ap);
        /* What strangers wrote forges no line and drives no terminal. */
        n = (int)printable_clean(line);
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return; /* nobody reads standard error: nothing is left to tell it to */
}
