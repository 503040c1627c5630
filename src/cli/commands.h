/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of vulcan, in the order in which help lists them. To add one, write cmd_VERB.c and add
 * VERB here and in meson.build.
 */
#pragma once

#include "cli/command.h"

#define COMMANDS(X)                                                                                \
        X(run)                                                                                     \
        X(ls)                                                                                      \
        X(logs)                                                                                    \
        X(inspect)                                                                                 \
        X(kill)                                                                                    \
        X(stats)                                                                                   \
        X(backends)                                                                                \
        X(serve)                                                                                   \
        X(config)                                                                                  \
        X(doctor)                                                                                  \
        X(completion)                                                                              \
        X(help)                                                                                    \
        X(version)

#define COMMANDS_DECLARE(verb) extern const struct command command_##verb;
COMMANDS(COMMANDS_DECLARE)

extern const struct command_table vulcan_commands;
