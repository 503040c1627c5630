/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end the process with an exit code of their own, as in Firecracker. SIGHUP, SIGXCPU
 * and SIGXFSZ arrive through a descriptor, so that the metrics can be written first. SIGILL,
 * SIGBUS, SIGSEGV and SIGSYS end the process in their handler, because its state cannot be trusted
 * any more. Other signals keep their default action. Thread rule: the main thread, before others
 * are started.
 */
#pragma once

#include "base/err.h"
#include "vmm/metrics.h"

/* Returns a descriptor, owned by the caller, that is readable when a signal of the first kind
 * arrived. */
int signals_open(struct err *err);

/* Reads one signal and counts it. Returns its exit code and its number; 0: there was none. */
int signals_take(int fd, struct vmm_metrics *m, int *ret_signal);
