/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's command line for a microVM, and its process.
 *
 * The machine is `microvm`: no PCI, no BIOS menus, virtio over MMIO, and guest memory in a memfd
 * that the vsock device maps too. QEMU inherits its QMP monitor and the vhost-user connection as
 * descriptors, so it has no sockets in the file system. Its serial console is our standard output.
 * It stays in our process group and dies with our main thread. Thread rule: the main thread,
 * because PR_SET_PDEATHSIG refers to the thread that spawns.
 */
#pragma once

#include "base/proc.h"
#include "vmm/config.h"
#include "vmm/kernel.h"

enum { QEMU_ARGS_MAX = 128 };

enum qemu_accel { QEMU_TCG, QEMU_KVM };

struct qemu_args {
        char *argv[QEMU_ARGS_MAX + 1];
        int n;
        bool failed; /* out of memory or too many; checked once, by qemu_build_args() */
};

/* The descriptors that QEMU inherits. */
struct qemu_fds {
        int qmp;        /* the peer of our end */
        int vhost_user; /* the peer of our end; -1: no vsock */
        int errors;     /* its standard error */
};

/* The accelerator that VULCAN_VMM_ACCEL names, or the best one available. -EINVAL: unknown name. */
int qemu_choose_accel(enum qemu_accel *ret, struct err *err);

/* The path of VULCAN_VMM_QEMU or of qemu-system-x86_64 in PATH, as a static string; NULL: none. */
const char *qemu_find(void);

/* Builds the whole command line. The caller releases *ret, on failure too. */
int qemu_build_args(struct qemu_args *ret, const char *program, const struct vm_config *cfg,
                    const struct kernel_info *kernel, const char *cmdline, enum qemu_accel accel,
                    bool sandbox, const struct qemu_fds *fds, struct err *err);
void qemu_args_release(struct qemu_args *args);

/* Starts QEMU. */
int qemu_spawn(const struct qemu_args *args, const struct qemu_fds *fds, struct proc *ret,
               struct err *err);
