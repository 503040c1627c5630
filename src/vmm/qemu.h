/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's command line for a microVM, and its process.
 *
 * The machine is `microvm`: no PCI, no BIOS menus, virtio over MMIO, guest memory in a memfd that
 * the vsock device maps too. QEMU gets its QMP monitor and the vhost-user connection as descriptors,
 * so that nothing of it stands in the file system; its serial console is our standard output. It
 * stays in our process group and dies with our main thread.
 * Thread rule: the main thread (PR_SET_PDEATHSIG means the thread that spawns).
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
        bool failed; /* out of memory or of room; checked once, by qemu_build_args() */
};

/* What QEMU is given of ours. */
struct qemu_fds {
        int qmp;        /* our end's peer; passed on */
        int vhost_user; /* passed on; -1: no vsock */
        int errors;     /* its standard error */
};

/* VULCAN_VMM_ACCEL, or by what the machine has. -EINVAL for another word. */
int qemu_choose_accel(enum qemu_accel *ret, struct err *err);

/* The program: VULCAN_VMM_QEMU, or qemu-system-x86_64 from PATH. A static string, NULL: none. */
const char *qemu_find(void);

/* Builds the whole command line. `*ret` is to be released, on failure too. */
int qemu_build_args(struct qemu_args *ret, const char *program, const struct vm_config *cfg,
                    const struct kernel_info *kernel, const char *cmdline, enum qemu_accel accel,
                    bool sandbox, const struct qemu_fds *fds, struct err *err);
void qemu_args_release(struct qemu_args *args);

/* Starts it. */
int qemu_spawn(const struct qemu_args *args, const struct qemu_fds *fds, struct proc *ret,
               struct err *err);
