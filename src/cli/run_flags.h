/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error messages about a workload begin with the API's name of a field ("code_archive: not a tar").
 * `vulcan run` names the flag instead. Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

/*
 * Replaces the field at the start of a message by its flag, after "run: "; a message that does not
 * begin with a known field stays as it is.
 *   code    what to call the program: "-e", the file, "--archive FILE"
 *   server  URL of the daemon that sent the message, which begins with "URL: "; NULL: none
 */
void run_flags_name(const char *code, const char *server, struct err *err);
