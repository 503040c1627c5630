/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's first process to a connection with the host.
 *
 * Mounts proc, sys, dev and cgroup2, loads the modules of the initramfs, puts a bounded tmpfs over
 * the read-only root image (/dev/vda, squashfs), makes that the root and connects to the host. If
 * a step fails, HELLO reports the reason to the host. If the host cannot be reached, the reason is
 * written to the console.
 *
 *     /lower   root image, read-only            hidden once the root has moved
 *     /rw      tmpfs, ROOT_SHARE of memory      upper and work directories of the overlay
 *     /root    overlay of both                  becomes /
 */
#pragma once

#include "base/err.h"
#include "guest/agent.h"
#include "guest/guest.h"

enum {
        BOOT_DEVICE_WAIT_MS = 5000, /* wait for /dev/vda to appear */
        BOOT_CONNECT_WAIT_MS = 10000,
};

#define BOOT_WORKDIR "/workspace"
#define BOOT_HOME "/home/sandbox"

/* Mounts the kernel's file systems and opens a console for messages. Must be called first. */
int boot_early(struct err *err);

/*
 * Loads modules and sets up the root, the cgroup and the program's directories. Sets *ret and the
 * times of `boot` that it reaches. Stops at an error; boot_connect() may still succeed and the agent
 * report it.
 */
int boot_prepare(struct guest *ret, struct agent_boot *boot, struct err *err);

/* Connects to the host. Returns the socket. */
int boot_connect(struct err *err);
