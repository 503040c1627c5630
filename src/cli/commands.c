/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/distance.h"
#include "base/log.h"
#include "base/printable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command *const commands[] = {
        &command_run,        &command_ls,       &command_logs,    &command_inspect, &command_kill,
        &command_stats,      &command_backends, &command_serve,   &command_config,  &command_doctor,
        &command_completion, &command_help,     &command_version,
};
const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

const struct command *command_find(const char *name)
{
        for (size_t i = 0; i < n_commands; i++) {
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        }
        return NULL;
}

const struct command *command_suggest(const char *name)
{
        const struct command *best = NULL;
        unsigned least = 3; /* two slips of the finger, no more */

        for (size_t i = 0; i < n_commands; i++) {
                unsigned d = word_distance(name, commands[i]->name);

                if (d < least && d < strlen(commands[i]->name)) {
                        least = d;
                        best = commands[i];
                }
        }
        return best;
}

int cli_fail(int exit_code, const struct err *err)
{
        char line[ERR_MESSAGE_MAX + 16];
        int n;

        if (log_format() == LOG_FORMAT_JSON) {
                log_fields(LOG_LEVEL_ERROR, NULL, 0, err->msg[0] ? err->msg : "failed");
                return exit_code;
        }
        snprintf(line, sizeof(line), "vulcan: %s", err->msg[0] ? err->msg : "failed");

        /* The daemon's words may hold those of a guest. */
        n = (int)printable_clean(line);
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return exit_code; /* nobody listens */
        return exit_code;
}

unsigned cli_warn_environment(void)
{
        struct err err = ERR_INIT;
        unsigned n = 0;

        for (size_t at = 0; settings_check_environment(&at, &err) < 0; n++)
                log_warn("%s", err.msg);
        return n;
}

int cli_is_terminal(int fd)
{
        const char *term = getenv("TERM");

        return isatty(fd) && term && strcmp(term, "dumb") != 0;
}
