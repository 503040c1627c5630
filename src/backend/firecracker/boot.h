/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Booting a microVM until its agent is ready, in one or two attempts.
 *
 * Time. Both attempts share one deadline, `timeout_ms` after the start of the first VMM. The first
 * attempt counts as hung after three quarters of that time (FC_BOOT_FIRST_SHARE) unless the agent
 * has connected. Kernels hang at random, and the remaining quarter is enough for several ordinary
 * boots at the default of 30 s, even under emulation. If the first attempt fails earlier, the
 * second one has all the remaining time.
 *
 * Retries. The reason of the failure decides:
 *
 *     reason        how it ended                              second attempt
 *     timeout       hung                                      yes: kernels hang at random
 *     guest_panic   panic on the console, exit 0 or 1         yes: they also panic at random
 *     guest_reboot  exit 0, or 1 after a triple fault         yes
 *     vmm_exit      exit 1, 152, 153                          no: the VMM rejects its input
 *     vmm_exit      any other code, or a signal               yes: the VMM crashed
 *     protocol      the first frame is not a valid HELLO      no: image of another version
 *     guest         HELLO reports an error                    no: bad image
 *     error         a step on the host failed                 no
 *
 * Thread rule: the thread that executes the workload.
 */
#pragma once

#include "backend/firecracker/vm.h"
#include "backend/run.h"
#include "session/session.h"

enum {
        FC_BOOT_ATTEMPTS = 2,
        FC_BOOT_FIRST_SHARE = 75, /* percent of the timeout for the first attempt */
};

/* The state of a VMM when its boot or its program was interrupted. */
struct fc_vmm_exit {
        bool ended;        /* false: it still runs */
        int exit_code;     /* -1: killed by a signal, or it still runs */
        bool panicked;     /* the guest's console shows a kernel panic */
        bool triple_fault; /* the VMM's log reports a virtual CPU that shut down */
};

/* Why a VM did not become ready: timeout, guest_panic, guest_reboot or vmm_exit. The guest's
 * console is never the explanation for a VMM that crashed. */
enum fc_reason fc_boot_reason(const struct fc_vmm_exit *end);

/* The table above; exit_code as in struct fc_vmm_exit. */
bool fc_boot_may_retry(enum fc_reason reason, int exit_code);

/*
 * Boots a VM that was initialised by fc_vm_init(). 0: the agent is ready for session_begin(), and
 * *ret_boot_ns is the time since the start of its VMM. Failed attempts are counted by stage and
 * reason. On failure fc_vm_cleanup() must be called; -ECANCELED: the run was killed.
 */
int fc_boot(struct fc_vm *vm, struct session *session, unsigned timeout_ms,
            const struct backend_run *run, uint64_t *ret_boot_ns, struct err *err);

/*
 * Sets an error that describes the VMM's exit: "WHAT: the VMM PATH exited with code 1; log: ...;
 * console: ...". Waits briefly for the exit of a VMM whose connection has just closed. `ret` may be
 * NULL. Returns -ECONNRESET.
 */
int fc_err_vmm_exited(struct fc_vm *vm, const char *what, struct fc_vmm_exit *ret, struct err *err);
