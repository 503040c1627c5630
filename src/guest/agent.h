/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of the protocol (docs/protocol.md): one connection, one program, one poll loop.
 *
 * The calling process becomes the reaper of its descendants, blocks SIGCHLD, SIGTERM and SIGINT and
 * ignores SIGPIPE; it must have no other children. Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"

/* What HELLO says; see struct wire_hello. */
struct agent_boot {
        uint64_t init_us, modules_us, root_us, connect_us;
        const char *error; /* why no program can be run here; NULL: ready */
};

/*
 * Says HELLO on the connection (a stream socket, consumed), runs the program the host asks for and
 * stays until the host closes the connection. Then nothing is left of the program. Returns 0 if the
 * host closed after the result had been sent to it (or after a HELLO with an error), -ECONNRESET if
 * earlier, -EPROTO for malformed frames, -EINTR after SIGTERM or SIGINT.
 */
int agent_run(struct guest *g, int connection, const struct agent_boot *boot, struct err *err);
