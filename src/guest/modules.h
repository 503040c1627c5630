/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules of the initramfs. The file `order` names them, one a line, in the order to load:
 *
 *     virtio_ring.ko
 *     net virtio_net.ko          only when a program asks for the network
 *
 * Empty lines and lines that begin with '#' are skipped. No directory, or no order: nothing to
 * load, the kernel has all it needs built in. A module the kernel already has is fine.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { MODULES_NET_MAX = 16 };

struct modules {
        int net[MODULES_NET_MAX]; /* open files: the initramfs is out of reach when they load */
        size_t n_net;
};

/*
 * Loads those without `net` and keeps the others open. Goes on after a failure, so that the host
 * can still be told of it, and returns the first one.
 */
int modules_load(const char *dir, struct modules *ret, struct err *err);

/* Loads the `net` ones, once; a second call does nothing. */
int modules_load_net(struct modules *m, struct err *err);
