/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs that talk to a daemon have in common.
 *
 *     n = remote_begin(&command_ls, argc, argv, set_option, &args, &remote, &code);
 *     if (n == 0)
 *             return code;
 *     r = remote_get(&remote, ...);
 *     return remote_end(&remote, r, &err);
 *
 * Thread rule: main thread.
 */
#pragma once

#include "cli/command.h"
#include "cli/options.h"
#include "cli/remote.h"

/* cli_begin(), then opens the remote. Returns as cli_begin(). */
int remote_begin(const struct command *command, int argc, char **argv, cli_option_fn *set_option,
                 void *ctx, struct remote *ret, int *ret_code);

/* The same for verbs that take at least one ID and whose only option is --json. */
int remote_begin_ids(const struct command *command, int argc, char **argv, bool *ret_json,
                     struct remote *ret, int *ret_code);

/* Releases the remote and prints the error if result < 0. Returns the exit code. */
int remote_end(struct remote *r, int result, const struct err *err);

/* A whole verb that prints the daemon's answer to GET path: as JSON with --json, else by print(),
 * which returns 0 or -errno. Returns the exit code. */
int remote_show(const struct command *command, int argc, char **argv, const char *path,
                int (*print)(json_t *answer));
