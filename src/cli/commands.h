/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of vulcan. */
#pragma once

#include "cli/command.h"

extern const struct command command_backends, command_completion, command_config, command_doctor,
        command_help, command_inspect, command_kill, command_logs, command_ls, command_run,
        command_serve, command_stats, command_version;

extern const struct command_table vulcan_commands;
