/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes files that the host wants back from the process that searches for them (fetch.h) to the
 * outbox. That process runs our own code, but as the program's user, so only frames of files pass.
 */
#pragma once

#include "base/buf.h"
#include "guest/outbox.h"

enum { RELAY_READ = 32 * 1024 }; /* bytes of the search read at a time */

struct relay {
        struct buf frames; /* the last one may be incomplete */
};

#define RELAY_INIT                                                                                 \
        ((struct relay){.frames = BUF_INIT(WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX + RELAY_READ)})

/*
 * Reads from the search and moves complete frames to the outbox, as long as it has room. 1: more
 * may follow; 0: the search has closed its pipe; -errno: it sent something else.
 */
int relay_move(struct relay *r, int fd, struct outbox *o, struct err *err);

void relay_release(struct relay *r);
