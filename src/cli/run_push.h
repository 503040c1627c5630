/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `vulcan run` reports of itself when it has ended: the five metrics, to the Pushgateway and
 * by remote-write to the receiver that the settings name, if they name one.
 *
 * The job is "vulcan_run", the instance `--push-instance` or the node's name and the process id:
 * runs beside and after each other stay apart. All of it is over within `--push-timeout`.
 * Thread rule: any, but it waits.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"

#include <stdbool.h>

/*
 * What can be known before anything runs: that each URL is one, that the token can be read, that
 * this program can push. -EINVAL, -ENOTSUP or the errno of the file, with the flag in the message.
 */
int run_push_check(const struct settings *settings, struct err *err);

/* A push that fails is a warning on standard error (none if quiet), nothing else. */
void run_push(const struct settings *settings, bool quiet);
