/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for shells, made from the tables of verbs and settings. Pure. */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

/* Adds the script. 0, -ENOBUFS, -ENOMEM. */
int complete_bash(const struct command_table *table, struct buf *ret);
int complete_zsh(const struct command_table *table, struct buf *ret);
