/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

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

enum { NAME_MAX_LEN = 31 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;

        return m < c ? m : c;
}

/* Letters to insert, remove or replace (Levenshtein 1965). Both words have at most NAME_MAX_LEN. */
static unsigned distance(const char *a, const char *b)
{
        unsigned row[NAME_MAX_LEN + 1];
        size_t n = strlen(b);

        for (unsigned k = 0; k <= n; k++)
                row[k] = k;
        for (unsigned i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned k = 1; k <= n; k++) {
                        unsigned above = row[k];

                        row[k] = min3(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
                        diagonal = above;
                }
        }
        return row[n];
}

const struct command *command_suggest(const char *name)
{
        const struct command *best = NULL;
        unsigned least = 3; /* two slips of the finger, no more */

        if (strlen(name) > NAME_MAX_LEN)
                return NULL;
        for (size_t i = 0; i < n_commands; i++) {
                unsigned d = distance(name, commands[i]->name);

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
        int n = snprintf(line, sizeof(line), "vulcan: %s", err->msg[0] ? err->msg : "failed");

        for (int i = 0; i < n; i++) {
                if ((unsigned char)line[i] < ' ' || line[i] == '\x7f')
                        line[i] = ' ';
        }
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return exit_code; /* nobody listens */
        return exit_code;
}

int cli_is_terminal(int fd)
{
        const char *term = getenv("TERM");

        return isatty(fd) && term && strcmp(term, "dumb") != 0;
}
