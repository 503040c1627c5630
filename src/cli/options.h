/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses the command line of a verb by the table of its options and that of the settings.
 *
 *     n = cli_parse(&command_kill, argc, argv, &settings, set_option, &args, &err);
 *     if (n < 0)
 *             return cli_fail(EXIT_USAGE, &err);
 *     if (n == 0)
 *             return cli_help(&command_kill);
 *     for (char **word = argv + n; *word; word++)
 *             ...
 *
 * Thread rule: main thread (getopt).
 */
#pragma once

#include "base/err.h"
#include "cli/command.h"
#include "config/settings.h"

/* The index of the verb, or of --help or --version, in the command line of the program. Settings
 * may precede it. -EINVAL: there is no verb, or an option that is not a setting precedes it. */
int cli_find_verb(int argc, char **argv, struct err *err);

/* Sets one option of the verb's own. `value` is NULL if the option was given without one. Returns
 * 0, or -errno with a message. */
typedef int cli_option_fn(void *ctx, int id, const char *value, struct err *err);

/* For verbs whose only option of their own is a flag: ctx is a bool. */
cli_option_fn cli_set_flag;

/*
 * Parses the options. Settings go to *settings, which is initialised first; the caller completes it
 * with settings_load(). Returns the index of the first word that is not an option, 0 for --help,
 * -EINVAL. Words may be moved to the end of argv.
 */
int cli_parse(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_option_fn *set_option, void *ctx, struct err *err);

/*
 * What most verbs do first: cli_parse(), settings_load(), and the log set up by the settings.
 * Returns the index of the first word that is not an option. Returns 0 if the verb should return
 * *ret_code: the help, or an error, has been printed.
 */
int cli_begin(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_option_fn *set_option, void *ctx, int *ret_code);
