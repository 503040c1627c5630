/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's network settings under /proc/sys/net of the calling thread's network namespace, and
 * IPv4 forwarding, which all bridges of a namespace share.
 *
 * Thread rule: any thread; a struct forward is guarded by its owner.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Writes a setting below /proc/sys, as "net/ipv4/ip_forward". -ENOENT where there is none. */
int sysctl_write(const char *name, const char *value, struct err *err);

/* Turns IPv6 off on an interface where the kernel has it and, in a container, lets us: it saves the
 * host from speaking it; what guests send of it is dropped by the rules. */
int sysctl_no_ipv6(const char *interface, struct err *err);

/*
 * IPv4 forwarding, on while somebody needs it. The file at `path` says whether it was us who turned
 * it on, written before that is done; whoever needs forwarding holds a lock on it, so that the last
 * one of all processes turns it off again, and only if it was off before.
 */
struct forward {
        int fd; /* -1: not held */
        bool ours;
};

#define FORWARD_INIT ((struct forward){.fd = -1})

/* Turns forwarding on. `ours` tells then whether this host forwards for nobody but us. */
int forward_take(struct forward *f, const char *path, struct err *err);

/* Gives it back; if it is not held, what a process that died turned on. */
int forward_drop(struct forward *f, const char *path, struct err *err);
