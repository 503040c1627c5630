/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One microVM from its configuration to its end: starts QEMU, runs the vsock device and the API,
 * writes metrics, and ends when QEMU ends.
 *
 *     machine_init(&m, &args, &err);        logger, metrics file, API socket
 *     code = machine_run(&m, &err);         until the guest has ended; the exit code
 *     machine_release(&m);
 *
 * Thread rule: the main thread, because QEMU dies with the thread that started it.
 */
#pragma once

#include "base/proc.h"
#include "vmm/api.h"
#include "vmm/args.h"
#include "vmm/http.h"
#include "vmm/kernel.h"
#include "vmm/qmp.h"
#include "vmm/report.h"
#include "vmm/vsock.h"

enum { MACHINE_ERRORS_MAX = 8192 }; /* bytes of QEMU's standard error that are kept */

struct machine {
        const struct vmm_args *args;
        struct loop loop;
        struct kernel_tsc tsc;
        struct vm_config cfg;
        struct vmm_metrics metrics;
        struct report report;
        struct loop_source signals;
        struct api api;
        struct http http;

        struct proc qemu;
        struct loop_source qemu_exit; /* its pidfd */
        struct loop_source qemu_errors;
        struct buf errors;
        char last_error[256]; /* the last of these lines */
        struct loop_source vhost_user_src;
        struct vhost_user vu;
        struct vsock_device vsock;
        bool has_vsock;
        bool has_acpi;
        struct qmp qmp;
        uint64_t asked_ns; /* when the pending pause or resume was requested */
        int exit_code;
};

/* Does everything that can fail before QEMU starts. Returns the exit code, with a message if not
 * 0. */
int machine_init(struct machine *m, const struct vmm_args *args, struct err *err);

/* Runs until the guest has ended. Returns the exit code, with a message if not 0. */
int machine_run(struct machine *m, struct err *err);

/* Kills QEMU if it still runs, and removes the sockets. */
void machine_release(struct machine *m);
