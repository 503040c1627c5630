/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting processes, identifying them by pid and start time, and ending them with all that they
 * started.
 *
 * A spawned process leads a session and a process group of its own. It dies with the thread that
 * spawned it (PR_SET_PDEATHSIG), so that thread must outlive it. It has default signal handling,
 * and no descriptors except its standard streams and those in `keep`.
 *
 * Thread rule: any thread. A struct proc belongs to one thread at a time, but another thread may
 * call proc_kill() while the owner waits.
 */
#pragma once

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        PROC_KEEP_MAX = 8,
        PROC_REAP_MAX_MS = 10000, /* a killed process that takes longer is stuck in the kernel */
};

struct proc_spec {
        const char *const *argv; /* argv[0] is the path of the program; NULL-terminated */
        const char *const *envp; /* NULL: the caller's environment */
        const char *dir;         /* working directory; NULL: the caller's */
        int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null */
        int keep[PROC_KEEP_MAX];            /* descriptors that stay open, with the same numbers */
        int n_keep;
        bool keep_group; /* stay in the caller's session and group: one signal ends both */
};

struct proc {
        pid_t pid;           /* also the process group unless keep_group; 0: none */
        int pidfd;           /* readable when the process has ended; -1: none */
        uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat */
        bool keep_group; /* leads no group: proc_kill() and proc_reap() affect only the process */
        int status;      /* private: wait status, while the rest of the group still runs */
};

#define PROC_INIT ((struct proc){.pidfd = -1})

/* Starts a program. Returns the error if exec fails (-ENOENT, -EACCES …). */
int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err);

/*
 * Sends SIGKILL to the process (through the pidfd) and to its group, unless it was spawned with
 * keep_group. Idempotent; never blocks.
 */
void proc_kill(const struct proc *p);

/*
 * Waits for the process and, if this program is a child subreaper (proc_become_subreaper()), for
 * the rest of its group. Call it after proc_kill() or when the pidfd is readable. Sets *ret_status
 * to the wait status of the process itself, as waitpid() does, and releases p. After
 * PROC_REAP_MAX_MS or `timeout_ms` it returns -ETIMEDOUT and leaves p as it was; the caller tries
 * again, or closes the pidfd to give up.
 */
int proc_reap(struct proc *p, int *ret_status, struct err *err);
int proc_reap_within(struct proc *p, unsigned timeout_ms, int *ret_status, struct err *err);

/*
 * Makes this process the parent of its children's orphans, so that proc_reap() can wait for them.
 * Resets SIGCHLD as well: if our parent left it ignored, no child could be waited for. Call once,
 * at the start.
 */
int proc_become_subreaper(struct err *err);

/*
 * Resets all signals to their default action and unblocks them, including 32 and 33, which libc
 * reserves: some parents (GNU make) leave them ignored. Async-signal-safe, for use between fork and
 * exec.
 */
int proc_reset_signals(void);

/* True if the process with this pid and this start time still runs (a zombie does not). */
bool proc_is_alive(pid_t pid, uint64_t start_time);

/* Describes a wait status: "exited with code 3", "killed by signal 9 (Killed)". Returns `text`. */
const char *proc_status_text(int status, char *text, size_t size);
