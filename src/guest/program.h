/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and ending processes for a workload: the program itself, the unpacker of its archive and
 * the search for files that it left. All run as the program's user, in a session, process group and
 * (the last one excepted, where there is one) cgroup of their own, without new privileges, and hold
 * no descriptor of the agent.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"
#include "wire/message.h"

#include <sys/types.h>

enum {
        PROGRAM_PIPE_SIZE = 1024 * 1024, /* what an unprivileged user may have at most */
        PROGRAM_NOFILE_SOFT = 1024,      /* select() breaks above; programs raise it themselves */
        PROGRAM_NOFILE_HARD = 524288,
};

/* Descriptors are the agent's ends of pipes, close-on-exec, the outputs non-blocking; -1: none. */
struct program {
        pid_t pid;
        int in;
        int out[2]; /* standard output, standard error; of the unpacker: out[1] only, its error */
};

#define PROGRAM_INIT ((struct program){.in = -1, .out = {-1, -1}})

/*
 * Starts the program of a request in the working directory. An exec that fails is an error here:
 * `cannot run "python3": No such file or directory`. The caller owns the result and reaps the pid.
 */
int program_start(const struct guest *g, const struct wire_request *request, struct program *ret,
                  struct err *err);

/*
 * Starts a process that unpacks what is written to `in` into the working directory and then looks for
 * the entry point, if one is wanted. It exits with 0 and in out[1] the directory to start in and the
 * entry point, each ended by NUL, or with 1 and a message there.
 */
int program_start_unpacker(const struct guest *g, const struct wire_entry *wanted,
                           struct program *ret, struct err *err);

/*
 * Starts a process that writes the files that a request asks to get back to out[0], as frames
 * (guest/fetch.h). It exits with 0, or with 1 if it could not say all. It is not in the cgroup, which
 * the program may have filled.
 */
int program_start_fetch(const struct guest *g, const struct wire_request *request,
                        struct program *ret, struct err *err);

/* Closes the descriptors; the process is not touched. */
void program_release(struct program *p);

/*
 * Sends SIGKILL to all that a workload started: the cgroup, or else the process group (0: skip it)
 * and every child this process has by now, orphans included. Where there is no cgroup call it again
 * whenever a child was reaped, until there is none.
 */
void program_kill_all(const struct guest *g, pid_t group);
