/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan completion bash|zsh */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/complete.h"

#include <errno.h>
#include <string.h>

static int cmd_completion(int argc, char **argv);

const struct command command_completion = {
        .name = "completion",
        .run = cmd_completion,
        .summary = "print what makes a shell complete the words of vulcan",
        .usage = "bash|zsh",
        .about =
                "Prints a script for bash or zsh. For this shell alone: source <(vulcan completion "
                "bash).\n"
                "For all: vulcan completion bash "
                ">/usr/share/bash-completion/completions/vulcan, or\n"
                "vulcan completion zsh >/usr/share/zsh/vendor-completions/_vulcan.",
        .words = "bash|zsh",
};

static int cmd_completion(int argc, char **argv)
{
        _cleanup_buf_ struct buf script = BUF_INIT(CLI_TEXT_MAX);
        struct err err = ERR_INIT;
        int n = cli_parse(&command_completion, argc, argv, NULL, NULL, NULL, &err);
        const char *shell = n > 0 && argv[n] && !argv[n + 1] ? argv[n] : "";

        if (n < 0)
                return cli_fail(EXIT_USAGE, &err);
        if (n == 0)
                return cli_help(&command_completion);
        if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0) {
                err_set(&err, EINVAL, "completion: for which shell: bash or zsh?");
                return cli_fail(EXIT_USAGE, &err);
        }
        if ((*shell == 'b' ? complete_bash(&script) : complete_zsh(&script)) < 0)
                return 1;
        return cli_print(&script);
}
