/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a workload, as a daemon sends it, in the terms of `vulcan run`. Pure. */
#pragma once

#include "base/err.h"
#include "cli/run_exit.h"
#include "workload/workload.h"

#include <jansson.h>

/* How the workload ended. -EAGAIN if it has not ended; -EPROTO if the record is malformed. */
int run_record_end(const json_t *record, struct run_end *ret);

/* The files fetched by these n patterns. The caller owns a reference to *ret. -EPROTO if a file was
 * not requested or is incomplete; -ENOMEM. */
int run_record_files(const json_t *record, char *const *patterns, size_t n,
                     struct workload_fetch **ret, struct err *err);
