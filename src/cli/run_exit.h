/* SPDX-License-Identifier: Apache-2.0 */
/* From how a workload ended to what `vulcan run` returns and says. Pure. */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

struct run_end {
        enum workload_status status;
        unsigned timeout_s;
        struct workload_outcome outcome;
        int caught;      /* the signal that made us end the program; 0: none */
        int write_error; /* why its output could not be passed on, a positive errno; 0: it could */
};

/*
 * The exit code. A message that belongs on standard error is left in *ret_say; its `msg` stays
 * empty where there is nothing to say.
 */
int run_exit_code(const struct run_end *end, struct err *ret_say);
