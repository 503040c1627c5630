/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of vulcan, in the order in which help lists them. The build makes the table from the
 * names in meson.build: verb NAME is the file cmd_NAME.c, which defines
 * `const struct command command_NAME`.
 */
#pragma once

#include "cli/command.h"

extern const struct command_table vulcan_commands;
