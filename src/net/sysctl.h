/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's settings below /proc/sys/net in the network namespace of the calling thread, and
 * IPv4 forwarding, which all bridges of a namespace share.
 *
 * Thread rule: any thread; the owner of a struct forward guards it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Turns IPv6 off on an interface, if the kernel supports it and, in a container, permits that. This
 * keeps the host from using it there; the rules drop what guests send. */
int sysctl_no_ipv6(const char *interface, struct err *err);

/*
 * IPv4 forwarding, on while a process needs it. Each such process holds a shared lock on the file
 * at `path`. The file records whether Vulcan turned forwarding on. The record is written before the
 * setting is changed, so a crash cannot lose it. The last process turns forwarding off again, but
 * only if it was off before.
 */
struct forward {
        int fd; /* -1: not held */
        bool ours;
};

#define FORWARD_INIT ((struct forward){.fd = -1})

/* Turns forwarding on. Afterwards `ours` is true if this host forwards only because of us. */
int forward_take(struct forward *f, const char *path, struct err *err);

/* Releases it. If it is not held, undoes what a dead process has turned on. */
int forward_drop(struct forward *f, const char *path, struct err *err);
