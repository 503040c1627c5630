/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of the protocol (docs/protocol.md): one connection, one program, one poll loop.
 *
 * The calling process becomes the reaper of its descendants, blocks SIGCHLD, SIGTERM and SIGINT,
 * and ignores SIGPIPE. It must have no other children. Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"

/* The contents of HELLO; see struct wire_hello. */
struct agent_boot {
        uint64_t init_us, modules_us, root_us, connect_us;
        const char *error; /* why no program can run here; NULL: ready */
};

/*
 * Sends HELLO on the connection (a stream socket, which it consumes), runs the program that the
 * host requests, and returns when the host has closed the connection. No process of the program is
 * left then. 0: the result, or a HELLO with an error, was sent; -ECONNRESET: the host closed
 * earlier; -EPROTO: malformed frames; -EINTR: SIGTERM or SIGINT.
 */
int agent_run(struct guest *g, int connection, const struct agent_boot *boot, struct err *err);
