/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: start one with a pidfd, know it by pid and start time, end it and all it started.
 *
 * A spawned process leads a session and process group of its own, dies with the thread that
 * spawned it (PR_SET_PDEATHSIG; so spawn from a thread that outlives the process), has default
 * signal handling and no descriptor but the three it was given and those in `keep`.
 * Thread rule: any thread; a struct proc belongs to one thread at a time, but proc_kill() may be
 * called from another thread while the owner waits.
 */
#pragma once

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        PROC_KEEP_MAX = 8,
        PROC_REAP_MAX_MS =
                10 * 1000, /* a killed process that lives longer is stuck in the kernel */
};

struct proc_spec {
        const char *const *argv; /* argv[0] is the path of the program; NULL-terminated */
        const char *const *envp; /* NULL: the caller's environment */
        const char *dir;         /* working directory; NULL: the caller's */
        int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null */
        int keep[PROC_KEEP_MAX];            /* descriptors that stay open under the same number */
        int n_keep;
        bool keep_group; /* stays in the caller's session and group, so that one signal ends both */
};

struct proc {
        pid_t pid;           /* also the process group unless keep_group; 0: none */
        int pidfd;           /* readable when the process has ended; -1: none */
        uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat */
        bool keep_group;     /* it leads no group: proc_kill() and proc_reap() mean it alone */
        int status;          /* wait status, while others of its group are waited for */
};

#define PROC_INIT ((struct proc){.pidfd = -1})

/* Starts a program. An exec that fails is reported here (-ENOENT, -EACCES …), not by an exit code.
 */
int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err);

/*
 * Sends SIGKILL to the process (through the pidfd) and to its group, unless it was spawned with
 * keep_group. Idempotent; never blocks.
 */
void proc_kill(const struct proc *p);

/*
 * Waits for the process and, where this program is a child subreaper (proc_become_subreaper()), for
 * all that remains of its group. Returns the wait status of the process itself in *ret_status (as
 * from waitpid). Call after proc_kill() or when the pidfd is readable. Releases p. -ETIMEDOUT after
 * PROC_REAP_MAX_MS: p is as before, and may be tried again or given up by closing its pidfd.
 */
int proc_reap(struct proc *p, int *ret_status, struct err *err);
int proc_reap_within(struct proc *p, unsigned timeout_ms, int *ret_status, struct err *err);

/*
 * Makes orphans of our children ours, so that proc_reap() can wait for them, and gives SIGCHLD its
 * default action: where a parent left it ignored, ends could not be waited for. Once, at start.
 */
int proc_become_subreaper(struct err *err);

/*
 * All signals to their default, none blocked, as a fresh program expects. Async-signal-safe, for use
 * between fork and exec. 32 and 33 too, which libc keeps to itself: some parents (GNU make) leave
 * them ignored.
 */
int proc_reset_signals(void);

/* Start time of a process as in struct proc; -ESRCH when there is none. */
int proc_start_time(pid_t pid, uint64_t *ret);

/* True if the process with this pid and this start time still runs (a zombie does not). */
bool proc_is_alive(pid_t pid, uint64_t start_time);

/* "exited with code 3", "killed by signal 9 (Killed)": a wait status for a person. */
const char *proc_status_text(int status, char *text, size_t size);
