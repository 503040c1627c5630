/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Moves settings that precede the verb after it. A verb without settings ignores them. */
static int run(const struct command *command, int argc, char **argv, int verb)
{
        _cleanup_free_ char **words = calloc((size_t)argc + 1, sizeof(*words));
        int n = 0;

        if (!words)
                return EXIT_USAGE;
        words[n++] = argv[verb];
        for (int i = 1; i < verb && command->settings; i++)
                words[n++] = argv[i];
        for (int i = verb + 1; i < argc; i++)
                words[n++] = argv[i];
        return command->run(&vulcan_commands, n, words);
}

int main(int argc, char **argv)
{
        const struct command *command;
        const struct command *like;
        struct err err = ERR_INIT;
        int verb = cli_find_verb(argc, argv, &err);

        cli_use_log_format(NULL);
        if (verb < 0)
                return cli_fail(EXIT_USAGE, &err);
        if (strcmp(argv[verb], "--version") == 0 || strcmp(argv[verb], "-V") == 0)
                return command_find(&vulcan_commands, "version")
                        ->run(&vulcan_commands, 1, argv + verb);
        if (strcmp(argv[verb], "--help") == 0 || strcmp(argv[verb], "-h") == 0)
                return command_find(&vulcan_commands, "help")
                        ->run(&vulcan_commands, 1, argv + verb);
        command = command_find(&vulcan_commands, argv[verb]);
        if (command)
                return run(command, argc, argv, verb);
        like = command_suggest(&vulcan_commands, argv[verb]);
        err_set(&err, EINVAL, "unknown verb \"%.60s\"; %s%s%ssee vulcan help", argv[verb],
                like ? "did you mean " : "", like ? like->name : "", like ? "? " : "");
        return cli_fail(EXIT_USAGE, &err);
}
