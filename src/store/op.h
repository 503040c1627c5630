/* SPDX-License-Identifier: Apache-2.0 */
/* A write under way. The members are private to the store. */
#pragma once

#include "base/err.h"
#include "base/ulid.h"
#include "workload/workload.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { STORE_PRUNE_EVERY = 128 }; /* writes between two checks of the bounds */

struct connection;

/* Owned by the caller, at a fixed address from store_end_start() until store_wait() returns. */
struct store_op {
        int (*apply)(struct connection *c, struct store_op *op, struct err *err);
        const struct workload *w;
        const char *id;
        char own_id[ULID_LEN + 1]; /* of a lazy one */
        int64_t started_ms;
        bool lazy;     /* nobody waits for it; the writer frees it */
        sem_t written; /* posted once, when `result` and `err` are set; not of a lazy one */
        int result;
        struct err err;
        TAILQ_ENTRY(store_op) at;
};

TAILQ_HEAD(store_op_list, store_op);
