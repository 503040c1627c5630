/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/log.h"
#include "base/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(int exit_code, const struct err *err)
{
        char line[ERR_MESSAGE_MAX + 16];
        int n;

        if (log_format() == LOG_FORMAT_JSON) {
                log_fields(LOG_LEVEL_ERROR, NULL, 0, err->msg[0] ? err->msg : "failed");
                return exit_code;
        }
        snprintf(line, sizeof(line), "vulcan: %s", err->msg[0] ? err->msg : "failed");

        /* A message of the daemon may quote the guest. */
        n = (int)printable_clean(line);
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return exit_code; /* standard error is closed */
        return exit_code;
}

int cli_print(const struct buf *text)
{
        return (!text->len || fwrite(text->data, 1, text->len, stdout) == text->len) &&
                               fflush(stdout) == 0
                       ? 0
                       : 1;
}

bool cli_is_terminal(int fd)
{
        const char *term = getenv("TERM");

        return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

void cli_use_log_format(const struct settings *settings)
{
        const char *format = settings ? settings->log_format : "";

        if (!*format)
                format = getenv("VULCAN_LOG_FORMAT");
        log_set_format(format && strcmp(format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

void cli_warn_environment(void)
{
        struct err err = ERR_INIT;

        for (size_t at = 0; settings_check_environment(&at, &err) < 0;)
                log_warn("%s", err.msg);
}
