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
#include "cli/run_exit.h"

#include <jansson.h>

enum {
        RUN_REMOTE_INPUT_MAX = 15 * 1024 * 1024,
        RUN_REMOTE_BINARY_MAX = 11 * 1024 * 1024, /* of input that is not text: in base 64 15 MiB */
};

/* Runs what run_args_load() has loaded. The exit code; what is to be said has been said. */
int run_remote(struct run_args *args);

/* The request as the API takes it. -EINVAL, -EFBIG: too large. `input`: NULL for none. */
int run_remote_order(const struct workload_spec *spec, const struct buf *input, json_t **ret,
                     struct err *err);

/* How a workload ended, from its record. -EAGAIN: it has not ended; -EPROTO: this is no record. */
int run_remote_end(const json_t *record, struct run_end *ret);

/* The files of a record that were asked for by these patterns; the caller owns the reference. -EPROTO:
 * they are others, or not whole. */
int run_remote_files(const json_t *record, char *const *patterns, size_t n,
                     struct workload_fetch **ret, struct err *err);
