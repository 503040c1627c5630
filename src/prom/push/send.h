/* SPDX-License-Identifier: Apache-2.0 */
/* One push: a target, its credentials, a deadline, and requests that are retried until then. */
#pragma once

#include "prom/push.h"
#include "prom/push/io.h"

struct push {
        const struct prom_push_target *target;
        const struct prom_push_io *io;
        uint64_t deadline_ms;
        char authorization[2 * PROM_PUSH_SECRET_MAX]; /* header line; "": none */
        char agent[256];                              /* header line */
        char type[256];            /* header line: the type of a gateway's body */
        void *session;             /* of io */
        struct push_answer answer; /* the last one */
        struct prom_push_result result;
};

/* Checks the target and reads its password or token file. Call prom_push_end_() even if it
 * fails. */
int prom_push_begin_(struct push *push, const struct prom_push_target *target,
                     const struct prom_push_io *io, struct prom_error *error);
void prom_push_end_(struct push *push, struct prom_push_result *ret_result);

/* Sends the request, with the target's headers added, and retries it as push.h describes. 0 if the
 * answer is 2xx. The last answer is in push->answer in any case. */
int prom_push_send_(struct push *push, struct push_request *request, struct prom_error *error);

/* Whether the target's list of families includes this one. */
bool prom_push_wants_(const struct prom_push_target *target, const char *name);
