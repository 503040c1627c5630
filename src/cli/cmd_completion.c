/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan completion bash|zsh */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/options.h"
#include "image/image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { RUNTIMES_MAX = 64 };

static int cmd_completion(const struct command_table *table, int argc, char **argv);

const struct command command_completion = {
        .name = "completion",
        .run = cmd_completion,
        .summary = "print a completion script for bash or zsh",
        .usage = "bash|zsh\nruntimes",
        .about = "Prints a completion script for bash or zsh, or the names of the installed "
                 "runtimes, which these scripts use.\n\n"
                 "For the current shell:\n\n"
                 "source <(vulcan completion bash)\n\n"
                 "For all shells:\n\n"
                 "vulcan completion bash >/usr/share/bash-completion/completions/vulcan\n\n"
                 "vulcan completion zsh >/usr/share/zsh/vendor-completions/_vulcan",
        .words = "bash|zsh|runtimes",
};

/* The runtimes of the images in force: --images, VULCAN_IMAGES or the default directory. */
static int print_runtimes(struct err *err)
{
        char dir[PATH_MAX], names[RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX];
        struct settings settings;
        size_t n;

        settings_init(&settings);
        if (settings_load(&settings, err) < 0 ||
            image_dir(settings.images[0] ? settings.images : NULL, dir, err) < 0)
                return cli_fail(1, err);
        n = image_known_runtimes(dir, names, RUNTIMES_MAX);
        for (size_t i = 0; i < n; i++)
                puts(names[i]);
        return fflush(stdout) == 0 ? 0 : 1;
}

static int cmd_completion(const struct command_table *table, int argc, char **argv)
{
        _cleanup_buf_ struct buf script = BUF_INIT(CLI_TEXT_MAX);
        struct err err = ERR_INIT;
        int n = cli_parse(&command_completion, argc, argv, NULL, NULL, NULL, &err);
        const char *shell = n > 0 && argv[n] && !argv[n + 1] ? argv[n] : "";

        if (n < 0)
                return cli_fail(EXIT_USAGE, &err);
        if (n == 0)
                return cli_help(&command_completion);
        if (strcmp(shell, "runtimes") == 0)
                return print_runtimes(&err);
        if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0) {
                err_set(&err, EINVAL, "completion: name a shell: bash or zsh");
                return cli_fail(EXIT_USAGE, &err);
        }
        if ((*shell == 'b' ? complete_bash(table, &script) : complete_zsh(table, &script)) < 0)
                return 1;
        return cli_print(&script);
}
