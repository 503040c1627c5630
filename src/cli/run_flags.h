/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors about a workload name the API's field ("code_archive: not a tar"); on the command line they
 * should name the flag. Any thread.
 */
#pragma once

#include "base/err.h"
#include "cli/run_args.h"

/*
 * Puts the flag, or the word, in the place of the field that a message begins with; "run: " goes before it.
 * `server`: the message is a daemon's and begins with this and ": "; NULL: it is not. Any other message
 * stays as it is.
 */
void run_flags_name(const struct run_args *a, const char *server, struct err *err);
