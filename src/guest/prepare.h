/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request asks to have done before its code arrives: clock, host name and network of the
 * machine, the limits of the program, and the file for the code.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"
#include "wire/message.h"

enum {
        PREPARE_PROCESSES_MAX = 512, /* processes of a program where the request has no limit */
        PREPARE_RESERVE_MIN_MB = 8,  /* memory kept for kernel and agent: 1/16, within these */
        PREPARE_RESERVE_MAX_MB = 32,
};

/* Clock, host name, network; only on a machine of the agent's own. */
int prepare_machine(struct guest *g, const struct wire_request *q, struct err *err);

/* The limits of the program's cgroup. -ENOMEM: the machine is too small. */
int prepare_limits(const struct guest *g, const struct wire_request *q, struct err *err);

/* Creates the file that takes the code below `dir`. Returns its descriptor, or -errno. */
int prepare_code_file(const struct guest *g, const struct wire_request *q, int dir,
                      struct err *err);
