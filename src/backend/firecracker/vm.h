/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One microVM: its directory, sockets, VMM process, console and network, from nothing to nothing.
 *
 *     fc_vm_prepare()    directory (locked), listener for the agent, network, configuration file
 *     fc_vm_start()      the VMM process; active_vms goes up
 *     fc_vm_await()      waits for an event: agent, output, the VMM's end, a stop
 *     fc_vm_cleanup()    ends and releases all of it, whatever there is; active_vms goes down
 *
 * Thread rule: everything on the thread that executes the workload, but fc_vm_stop(), which any
 * thread may call at any time between fc_vm_init() and fc_vm_release().
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
        FC_SUN_PATH_MAX = 107, /* usable bytes of a Unix socket's path */
        FC_VM_END_MS = 2000,   /* wait for the end of a VMM and of all it started, at most */
};

/* What a VM's directory is called until it is locked. */
#define FC_NEW_PREFIX "new-"

struct fc_vm {
        const struct fc_vm_spec *spec;
        char dir[PATH_MAX];
        int dir_fd;     /* holds the lock on the directory; -1: no directory */
        int listen_fd;  /* where the agent dials; -1: none, or it has been accepted */
        int conn_fd;    /* the agent; -1: none */
        int console_fd; /* the guest's console, which is the VMM's standard output */
        int log_fd; /* the VMM's log and standard error: a FIFO, so that no guest fills the disk */
        struct net_lease lease;
        bool has_lease;
        uint64_t start_ns;   /* when the VMM was started; 0: it was not */
        uint64_t spawned_ns; /* when its process existed */

        pthread_mutex_t proc_lock; /* guards proc against fc_vm_stop() on another thread */
        struct proc proc;
        int stop_fd; /* eventfd: readable once fc_vm_stop() was called */
        atomic_bool stopped;
        _Atomic uint64_t stop_ns; /* when fc_vm_stop() was first called; 0: it was not */

        struct fc_tail console, log;
        struct fc_flush flush;
};

/* What fc_vm_await() saw. More than one can be true. */
struct fc_event {
        bool stopped;   /* fc_vm_stop() was called */
        bool exited;    /* the VMM has ended */
        bool timed_out; /* the deadline has passed and nothing else happened */
        short conn;     /* poll events of conn_fd */
        bool agent;     /* a connection waits at listen_fd */
        bool extra;     /* events on the extra descriptor */
};

/* Makes an empty VM. -EMFILE and the like. */
int fc_vm_init(struct fc_vm *vm, const struct fc_vm_spec *spec, struct err *err);

/* Directory, listener, network, configuration. `ret_stage` tells how far it came. A failure leaves
 * a VM for fc_vm_cleanup(). */
int fc_vm_prepare(struct fc_vm *vm, enum fc_stage *ret_stage, struct err *err);

/* Starts the VMM. 0, or a negative errno: then nothing was started and active_vms is as before. */
int fc_vm_start(struct fc_vm *vm, struct err *err);

/*
 * Waits until something happens or deadline_ns (CLOCK_MONOTONIC; 0: none) has passed. Console
 * and log are taken in on the way and wake nobody. `conn_events`: POLLIN, POLLOUT or both, for
 * conn_fd; `extra_fd`: one more descriptor to read from, -1: none.
 */
int fc_vm_await(struct fc_vm *vm, uint64_t deadline_ns, short conn_events, int extra_fd,
                struct fc_event *ret, struct err *err);

/* Takes the connection that waits at listen_fd and closes the listener: one agent, once. */
int fc_vm_accept(struct fc_vm *vm, struct err *err);

/* Kills the VMM at once and makes fc_vm_await() return from now on. Any thread, any number of
 * times; never blocks. */
void fc_vm_stop(struct fc_vm *vm);

/*
 * Ends and releases everything but the struct. Returns the nanoseconds from the stop until the network
 * was torn down, 0 if no VMM had been started. A VMM that has not ended after FC_VM_END_MS, and a
 * directory that cannot be removed, are handed to spec->remains: the former stays in active_vms until
 * it is gone. `was_ready`: the VMM is asked for its counters before it dies.
 */
uint64_t fc_vm_cleanup(struct fc_vm *vm, bool was_ready);

void fc_vm_release(struct fc_vm *vm);

/* Takes in what console and log hold at this moment. */
void fc_vm_read_words(struct fc_vm *vm);

/* How the VMM ended, if it has: "exited with code 152"; NULL while it runs. Does not reap. */
const char *fc_vm_exit_text(struct fc_vm *vm, char *ret, size_t size);
/* The exit code of a VMM that has ended by itself, -1 otherwise. */
int fc_vm_exit_code(struct fc_vm *vm);
