/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static const struct command *const commands[] = {
        &command_run,        &command_ls,       &command_logs,    &command_inspect, &command_kill,
        &command_stats,      &command_backends, &command_serve,   &command_config,  &command_doctor,
        &command_completion, &command_help,     &command_version,
};

const struct command_table vulcan_commands = {commands, sizeof(commands) / sizeof(commands[0])};
