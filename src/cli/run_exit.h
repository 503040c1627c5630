/* SPDX-License-Identifier: Apache-2.0 */
/* The exit code and the message of `vulcan run` for the outcome of a workload. Pure. */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

struct run_end {
        enum workload_status status;
        unsigned timeout_s;
        struct workload_outcome outcome;
        int caught;      /* the signal after which we killed the program; 0: none */
        int write_error; /* errno of writing its output; 0: none */
};

/*
 * Returns the exit code. *ret_message is a message for standard error; its `msg` is empty if there
 * is none.
 */
int run_exit_code(const struct run_end *end, struct err *ret_message);
