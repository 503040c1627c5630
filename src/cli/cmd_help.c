/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan help [VERB|metrics], vulcan help --man [VERB] */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/help_metrics.h"
#include "cli/man.h"
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int cmd_help(const struct command_table *table, int argc, char **argv);

enum { OPT_MAN = 256 };

static const struct cli_option help_options[] = {
        {"man", OPT_MAN, NULL, "print the manual page of VERB, or of vulcan, for man(1)", NULL,
         false},
        {0},
};

const struct command command_help = {
        .name = "help",
        .run = cmd_help,
        .summary = "explain vulcan, a verb, or the metrics",
        .usage = "[VERB]\nmetrics\n--man [VERB]",
        .about = "Explains vulcan, a verb, or the metrics (as Markdown).",
        .options = help_options,
        .words = "VERB",
};

static int help_overview(const struct command_table *table)
{
        printf("vulcan runs untrusted programs, each in its own microVM.\n\n"
               "usage: vulcan [SETTINGS] VERB [OPTIONS] ...\n\n");
        for (size_t i = 0; i < table->n; i++)
                printf("  %-10s %s\n", table->commands[i]->name, table->commands[i]->summary);
        printf("\nvulcan VERB --help explains a verb; vulcan help metrics explains the metrics.\n"
               "Settings (see vulcan config) may precede or follow the verb.\n\n"
               "  vulcan run --runtime python -e 'print(6*7)'\n"
               "  vulcan run hello.js\n");
        return fflush(stdout) == 0 ? 0 : 1;
}

static int cmd_help(const struct command_table *table, int argc, char **argv)
{
        _cleanup_buf_ struct buf page = BUF_INIT(CLI_TEXT_MAX);
        const struct command *command = NULL;
        struct err err = ERR_INIT;
        bool man = false;
        int n = cli_parse(&command_help, argc, argv, NULL, cli_set_flag, &man, &err);
        const char *word = n > 0 ? argv[n] : NULL;

        if (n < 0)
                return cli_fail(EXIT_USAGE, &err);
        if (n == 0)
                return cli_help(&command_help);
        if (word && !man && strcmp(word, "metrics") == 0) {
                help_metrics_page(&page);
                return cli_print(&page);
        }
        if (word && !(command = command_find(table, word))) {
                err_set(&err, EINVAL, "help: unknown verb \"%.60s\"; see vulcan help", word);
                return cli_fail(EXIT_USAGE, &err);
        }
        if (man)
                return man_page(table, command, &page) < 0 ? 1 : cli_print(&page);
        return command ? cli_help(command) : help_overview(table);
}
