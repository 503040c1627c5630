/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end the process with an exit code of their own, as Firecracker has them: SIGHUP,
 * SIGXCPU and SIGXFSZ through a descriptor, so that the metrics can be written first; SIGILL, SIGBUS,
 * SIGSEGV and SIGSYS at once, for nothing can be relied on after them. All others do what they always
 * do. Thread rule: the main thread, before others are started.
 */
#pragma once

#include "base/err.h"
#include "vmm/metrics.h"

/* Returns a descriptor that is readable when one of the first kind came; the caller's. */
int signals_open(struct err *err);

/* Takes one: counts it, returns its exit code, and its number; 0: there was none. */
int signals_take(int fd, struct vmm_metrics *m, int *ret_signal);
