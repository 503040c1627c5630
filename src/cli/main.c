/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        const struct command *command;
        const struct command *like;
        struct err err = ERR_INIT;

        if (argc < 2) {
                err_set(&err, 22, "no verb given; see vulcan help");
                return cli_fail(EXIT_USAGE, &err);
        }
        if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
                return command_version.run(1, argv + 1);
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                return command_help.run(1, argv + 1);
        command = command_find(argv[1]);
        if (command)
                return command->run(argc - 1, argv + 1);
        like = command_suggest(argv[1]);
        err_set(&err, 22, "no verb \"%.60s\"; %s%s%ssee vulcan help", argv[1],
                like ? "did you mean " : "", like ? like->name : "", like ? "? " : "");
        return cli_fail(EXIT_USAGE, &err);
}
