/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vulcan run --server`: runs the workload in a daemon. Its output arrives line by line from the
 * daemon's event stream. Standard input is part of the request, so it is read to its end first,
 * unless it is a terminal. A signal kills the workload (DELETE). If the daemon is lost, the
 * workload goes on, and the message says how to find it.
 *
 * Thread rule: main thread.
 */
#pragma once

#include "base/err.h"
#include "cli/run_args.h"

/* Runs the workload of run_args_load(). Prints errors itself and returns the exit code. */
int run_remote(struct run_args *args);
