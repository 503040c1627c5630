/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan version */
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/options.h"

#include <stdio.h>

static int cmd_version(const struct command_table *table, int argc, char **argv);

const struct command command_version = {
        .name = "version",
        .run = cmd_version,
        .summary = "print the version",
        .usage = "",
        .about = "Prints the version.",
};

static int cmd_version(const struct command_table *table, int argc, char **argv)
{
        struct err err = ERR_INIT;
        int n = cli_parse(&command_version, argc, argv, NULL, NULL, NULL, &err);

        if (n <= 0)
                return n < 0 ? cli_fail(EXIT_USAGE, &err) : cli_help(&command_version);
        printf("vulcan %s\n", VULCAN_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
}
