/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vulcan run --server: the same workload, in a daemon. Its output comes by the daemon's event
 * stream, line by line; its standard input is sent with the order, so it is read to its end first;
 * a terminal is not read. A signal kills the workload (DELETE). When the daemon is lost the
 * workload goes on, and the message says how to find it.
 *
 * Thread rule: main thread.
 */
#pragma once

#include "base/err.h"
#include "cli/run_args.h"

/* Runs what run_args_load() has loaded. The exit code; what is to be said has been said. */
int run_remote(struct run_args *args);
