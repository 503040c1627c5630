/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan help [VERB|metrics], vulcan version */
#include "cli/cli.h"

#include "cli/help_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cmd_version(int argc, char **argv)
{
        printf("vulcan %s\n", VULCAN_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
}

static int help_about(const char *name)
{
        char flag[] = "--help";
        char *argv[] = {(char *)name, flag, NULL};
        const struct command *command = command_find(name);
        struct err err = ERR_INIT;

        if (command && command->run != cmd_help && command->run != cmd_version)
                return command->run(2, argv);
        if (command) {
                printf("vulcan %s: %s\n", command->name, command->summary);
                return fflush(stdout) == 0 ? 0 : 1;
        }
        err_set(&err, EINVAL, "help: no verb \"%.60s\"; see vulcan help", name);
        return cli_fail(EXIT_USAGE, &err);
}

static int help_metrics(void)
{
        _cleanup_buf_ struct buf page = BUF_INIT(256 * 1024);
        struct err err = ERR_INIT;

        if (help_metrics_page(&page, &err) < 0)
                return cli_fail(1, &err);
        return fwrite(page.data, 1, page.len, stdout) == page.len && fflush(stdout) == 0 ? 0 : 1;
}

int cmd_help(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "metrics") == 0)
                return help_metrics();
        if (argc > 1 && argv[1][0] != '-')
                return help_about(argv[1]);
        printf("vulcan runs programs, each in a microVM of its own.\n\n"
               "usage: vulcan VERB [OPTIONS] ...\n\n");
        for (size_t i = 0; i < n_commands; i++)
                printf("  %-10s %s\n", commands[i].name, commands[i].summary);
        printf("\nvulcan VERB --help explains a verb, vulcan help metrics the metrics.\n\n"
               "  vulcan run --runtime python -e 'print(6*7)'\n"
               "  vulcan run hello.js\n");
        return fflush(stdout) == 0 ? 0 : 1;
}
