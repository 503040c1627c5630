/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#define ROW(verb) &command_##verb,
static const struct command *const commands[] = {COMMANDS(ROW)};

const struct command_table vulcan_commands = {commands, sizeof(commands) / sizeof(commands[0])};
