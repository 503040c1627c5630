/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out the parts of a request that precede its code: clock, host name and network of the
 * machine, the limits of the program, and the file for the code.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"
#include "wire/message.h"

enum {
        PREPARE_PROCESSES_MAX = 512, /* processes of a program, if the request sets no limit */
        PREPARE_RESERVE_MIN_MB = 8,  /* memory kept for kernel and agent: 1/16, within these */
        PREPARE_RESERVE_MAX_MB = 32,
};

/* Sets clock, host name and network. Only for a guest with `machine`. */
int prepare_machine(struct guest *g, const struct wire_request *q, struct err *err);

/* Sets the limits of the program's cgroup. -ENOMEM: the machine has too little memory. */
int prepare_limits(const struct guest *g, const struct wire_request *q, struct err *err);

/* Creates the file for the code below `dir`. Returns its descriptor, or -errno. */
int prepare_code_file(const struct guest *g, const struct wire_request *q, int dir,
                      struct err *err);
