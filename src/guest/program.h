/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts and kills the processes of a workload: the program, the unpacker of its archive, and the
 * search for files that the host wants back. All run as the program's user, in a session and
 * process group of their own, without new privileges, and inherit no descriptor of the agent. The
 * program and the unpacker run in the cgroup, if there is one.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"
#include "wire/message.h"

#include <sys/types.h>

enum {
        PROGRAM_PIPE_SIZE = 1024 * 1024, /* the maximum for an unprivileged user */
        PROGRAM_NOFILE_SOFT = 1024,      /* select() breaks above this; programs can raise it */
        PROGRAM_NOFILE_HARD = 524288,
};

/* The agent's ends of the pipes: close-on-exec, outputs non-blocking; -1: none. */
struct program {
        pid_t pid;
        int in;
        int out[2]; /* standard output and error; the unpacker has only out[1], for its report */
};

#define PROGRAM_INIT ((struct program){.in = -1, .out = {-1, -1}})

/*
 * Starts the program of a request in the working directory. A failed exec is an error of this
 * function: `cannot run "python3": No such file or directory`. The caller owns *ret and reaps the
 * pid.
 */
int program_start(const struct guest *g, const struct wire_request *request, struct program *ret,
                  struct err *err);

/*
 * Starts a process that unpacks the archive written to `in` into the working directory and then
 * finds the entry point, if one is wanted. It writes to out[1]: on success (exit code 0) the
 * directory to start in and the entry point, each followed by NUL; on failure (exit code 1) a
 * message.
 */
int program_start_unpacker(const struct guest *g, const struct wire_entry *wanted,
                           struct program *ret, struct err *err);

/*
 * Starts a process that writes the files that the host wants back to out[0], as frames
 * (guest/fetch.h). Exit code 1: its output is incomplete. It does not run in the cgroup, whose
 * memory the program may have used up.
 */
int program_start_fetch(const struct guest *g, const struct wire_request *request,
                        struct program *ret, struct err *err);

/* Closes the descriptors; does not affect the process. */
void program_release(struct program *p);

/*
 * Sends SIGKILL to all processes of a workload: to the cgroup, or, if there is none, to the process
 * group (0: skip it) and to every child of this process, including orphans. Without a cgroup call
 * it again after each reaped child, until no child is left.
 */
void program_kill_all(const struct guest *g, pid_t group);
