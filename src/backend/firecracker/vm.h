/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One microVM: its directory, sockets, VMM process, console and network.
 *
 *     fc_vm_prepare()    directory (locked), listener for the agent, network, configuration file
 *     fc_vm_start()      the VMM process; active_vms goes up
 *     fc_vm_await()      waits for an event: agent, output, VMM exit, stop
 *     fc_vm_cleanup()    kills and releases whatever exists; active_vms goes down
 *
 * Thread rule: the thread that executes the workload, except fc_vm_stop(): any thread, at any time
 * between fc_vm_init() and fc_vm_release().
 */
#pragma once

#include "backend/firecracker/flush.h"
#include "backend/firecracker/remains.h"
#include "backend/firecracker/tail.h"
#include "backend/firecracker/vm_spec.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/proc.h"
#include "image/image.h"
#include "net/net.h"
#include "workload/workload.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        FC_SUN_PATH_MAX = 107,     /* usable bytes of a Unix socket's path */
        FC_VM_EXIT_WAIT_MS = 2000, /* after SIGKILL, for a VMM and everything it started */
};

/* The name of a VM's directory begins with this until the directory is locked. */
#define FC_NEW_PREFIX "new-"

struct fc_vm {
        const struct fc_vm_spec *spec;
        char dir[PATH_MAX];
        int dir_fd;     /* holds the lock on the directory; -1: no directory */
        int listen_fd;  /* accepts the agent's connection; -1: none, or already accepted */
        int conn_fd;    /* connection to the agent; -1: none */
        int console_fd; /* the guest's console: the VMM's standard output */
        int log_fd;     /* the VMM's log and standard error: a FIFO, which cannot fill the disk */
        struct net_lease lease;
        bool has_lease;
        uint64_t start_ns;   /* just before the VMM was spawned; 0: no VMM */
        uint64_t spawned_ns; /* when its process existed */

        /* Shared with fc_vm_stop() on another thread. */
        pthread_mutex_t proc_lock; /* guards proc */
        struct proc proc;
        int stop_fd;              /* eventfd: readable once fc_vm_stop() was called */
        atomic_bool stopped;      /* set before fc_vm_stop() takes proc_lock */
        _Atomic uint64_t stop_ns; /* time of the first fc_vm_stop(); 0: none */

        struct fc_tail console, log;
        struct fc_flush flush;
};

/* The events that fc_vm_await() found; several can be set. */
struct fc_event {
        bool stopped;   /* fc_vm_stop() was called */
        bool exited;    /* the VMM has exited */
        bool timed_out; /* the deadline has passed */
        short conn;     /* poll events of conn_fd */
        bool agent;     /* a connection can be accepted from listen_fd */
        bool extra;     /* the extra descriptor is readable */
};

/* Initialises a VM without resources. -EMFILE or -ENFILE: no descriptor left. */
int fc_vm_init(struct fc_vm *vm, const struct fc_vm_spec *spec, struct err *err);

/* Makes directory, listener, network and configuration. On failure *ret_stage is the stage that
 * failed, and fc_vm_cleanup() must be called. */
int fc_vm_prepare(struct fc_vm *vm, enum fc_stage *ret_stage, struct err *err);

/* Starts the VMM. On failure no process exists and active_vms is unchanged. */
int fc_vm_start(struct fc_vm *vm, struct err *err);

/*
 * Waits for an event, until deadline_ns at most (CLOCK_MONOTONIC; 0: no deadline). Output on
 * console and log is read meanwhile and is not an event. `conn_events`: POLLIN, POLLOUT or both,
 * for conn_fd; `extra_fd`: one more descriptor to poll for reading, -1: none.
 */
int fc_vm_await(struct fc_vm *vm, uint64_t deadline_ns, short conn_events, int extra_fd,
                struct fc_event *ret, struct err *err);

/* Accepts the agent's connection and closes the listener: there is one agent, which connects
 * once. */
int fc_vm_accept(struct fc_vm *vm, struct err *err);

/* Kills the VMM and makes every fc_vm_await() return immediately from now on. Any thread, any
 * number of times; never blocks. */
void fc_vm_stop(struct fc_vm *vm);

/*
 * Kills the VMM and releases everything except the struct. Returns the time from the stop until the
 * VMM was reaped and the network torn down, in ns; 0 if no VMM was started. A VMM that has not
 * exited after FC_VM_EXIT_WAIT_MS, and a directory that cannot be removed, are handed to
 * spec->remains; such a VM stays in active_vms until its processes are gone. `was_ready`: ask the
 * VMM for its counters first.
 */
uint64_t fc_vm_cleanup(struct fc_vm *vm, bool was_ready);

void fc_vm_release(struct fc_vm *vm);

/* Reads the output that console and log hold now. */
void fc_vm_read_output(struct fc_vm *vm);

/* How the VMM exited, as text: "exited with code 152"; NULL while it runs. Does not reap it. */
const char *fc_vm_exit_text(struct fc_vm *vm, char *ret, size_t size);
/* The exit code of a VMM that exited by itself; -1 if it runs, or was killed by a signal. */
int fc_vm_exit_code(struct fc_vm *vm);
