/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes the five metrics of `vulcan run` when it has ended: to the Pushgateway of --push and, by
 * remote-write, to the receiver of --remote-write.
 *
 * The job is "vulcan_run". The instance is --push-instance or, by default, the node's name and the
 * process id, so that concurrent and successive runs stay apart. Everything together takes at most
 * --push-timeout.
 *
 * Thread rule: any thread, but it blocks.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"

#include <stdbool.h>

/*
 * Checks before the run that the URLs are valid, that the token can be read, and that this program
 * was built with push. -EINVAL, -ENOTSUP or the errno of the file; the message names the flag.
 */
int run_push_check(const struct settings *settings, struct err *err);

/* A failed push prints a warning on standard error (none if quiet) and has no other effect. */
void run_push(const struct settings *settings, bool quiet);
