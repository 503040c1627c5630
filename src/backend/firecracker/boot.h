/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Booting a microVM: from nothing to an agent that is ready, in one or two attempts.
 *
 * Time. One deadline holds for all attempts: `timeout_ms` after the start of the first VMM. The first
 * attempt is given up as hung after three quarters of it (FC_BOOT_FIRST_SHARE), unless the agent has
 * connected by then: a kernel that hangs at random is started anew with a quarter of the time left,
 * which at the default of 30 s is several ordinary boots even under emulation. An attempt that fails
 * earlier leaves the second all the rest.
 *
 * Retries. By rule, on what ended the attempt:
 *
 *     reason        how it ended                              second attempt
 *     timeout       hung                                      yes: kernels hang at random
 *     guest_panic   the console shows a panic, exit 0 or 1    yes: so they panic
 *     guest_reboot  exit 0, or 1 after a triple fault         yes
 *     vmm_exit      exit 1, 152, 153                          no: it refuses what it was given
 *     vmm_exit      any other code, a signal                  yes: it crashed
 *     protocol      bytes that are not HELLO                  no: image of another version
 *     guest         the agent says that it cannot run         no: bad image
 *     error         a step of this host failed                no
 *
 * Thread rule: the thread that executes the workload.
 */
#pragma once

#include "session/session.h"
#include "backend/firecracker/vm.h"
#include "backend/run.h"

enum {
        FC_BOOT_ATTEMPTS = 2,
        FC_BOOT_FIRST_SHARE = 75, /* percent of the time for the first attempt */
};

/* What is known of an attempt that failed. */
struct fc_vmm_end {
        bool ended;        /* the VMM has */
        int exit_code;     /* -1: by a signal, or it still runs */
        bool panicked;     /* the guest's console shows a kernel panic */
        bool triple_fault; /* the VMM's log says that a virtual CPU shut down */
};

/* Why a VM whose VMM has ended, or that hung, did not become ready: timeout, guest_panic,
 * guest_reboot or vmm_exit. The guest's console never explains a VMM that crashed. */
enum fc_reason fc_boot_reason(const struct fc_vmm_end *end);

/* The table above. `exit_code` as in struct fc_vmm_end. */
bool fc_boot_may_retry(enum fc_reason reason, int exit_code);

/*
 * Boots `vm`, which has been through fc_vm_init() alone. 0: the agent is ready, *ret_boot_ns is the
 * time since the start of its VMM, and the VM may be talked to. Failed attempts are counted by stage
 * and reason. On failure the VM is left for fc_vm_cleanup(); -ECANCELED: the run was killed.
 */
int fc_boot(struct fc_vm *vm, struct session *session, unsigned timeout_ms,
            const struct backend_run *run, uint64_t *ret_boot_ns, struct err *err);

/*
 * Says how the VM ended: "WHAT: the VMM PATH exited with code 1; log: ...; console: ...". Waits a
 * moment for a VMM whose connection has just gone. *ret may be NULL.
 */
int fc_err_vmm_ended(struct fc_vm *vm, const char *what, struct fc_vmm_end *ret, struct err *err);
