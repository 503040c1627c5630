/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's first process to a connection with the host.
 *
 * Mounts proc, sys, dev and cgroup2, loads the modules of the initramfs, lays a bounded tmpfs over
 * the read-only root image (/dev/vda, squashfs), makes that the root and dials the host. Each step
 * that fails leaves its reason for the host to hear; only if the host cannot be reached there is
 * nobody to tell but the console.
 *
 *     /lower   root image, read-only            kept out of sight once the root has moved
 *     /rw      tmpfs, ROOT_SHARE of memory      upper and work directories of the overlay
 *     /root    overlay of both                  becomes /
 */
#pragma once

#include "base/err.h"
#include "guest/agent.h"
#include "guest/guest.h"

enum {
        BOOT_DEVICE_WAIT_MS = 5000, /* for /dev/vda to appear */
        BOOT_CONNECT_WAIT_MS = 10000,
};

#define BOOT_WORKDIR "/workspace"
#define BOOT_HOME "/home/sandbox"

/* File systems of the kernel and a console for messages. Call first; nothing else works without. */
int boot_early(struct err *err);

/*
 * Modules, root, cgroup and directories of the program. Fills in what boot->... times it reached
 * and *ret. The first error is returned, but the rest that makes sense is done.
 */
int boot_prepare(struct guest *ret, struct agent_boot *boot, struct err *err);

/* Connects to the host. Returns the socket. */
int boot_connect(struct err *err);
