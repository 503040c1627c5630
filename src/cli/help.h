/* SPDX-License-Identifier: Apache-2.0 */
/* The text of `vulcan VERB --help`, made from the tables of options and settings. */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

/* Appends the text. 0, -ENOBUFS, -ENOMEM. */
int cli_help_text(const struct command *command, struct buf *ret);

/* Prints it. Returns the exit code. */
int cli_help(const struct command *command);
