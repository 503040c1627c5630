/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules of the initramfs. The file `order` lists them, one a line, in the order to load:
 *
 *     virtio_ring.ko
 *     net virtio_net.ko          only if a program wants the network
 *
 * Empty lines and lines that begin with '#' are skipped. Without the file there is nothing to load:
 * the kernel has everything built in. A module that is already loaded is not an error.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { MODULES_NET_MAX = 16 };

struct modules {
        int net[MODULES_NET_MAX]; /* open files: the initramfs is gone when they load */
        size_t n_net;
};

/*
 * Loads the modules without `net` and keeps the files of the others open. Continues after an error,
 * so that the agent can still reach the host and report it, and returns the first error.
 */
int modules_load(const char *dir, struct modules *ret, struct err *err);

/* Loads the modules with `net`. A second call does nothing. */
int modules_load_net(struct modules *m, struct err *err);
