/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API can have done with a machine (api.h), and its metrics; parts of machine.c.
 * Thread rule: the main thread.
 */
#pragma once

#include "vmm/machine.h"

extern const struct api_ops machine_ops;

/* Starts QEMU (machine.c). 1: it is starting, and its end or its being up is reported. */
int machine_start(void *arg, struct err *err);

/* Sections of the configuration that take effect at once. */
int machine_apply_logger(void *arg, const struct vm_logger *l, struct err *err);
int machine_apply_metrics(void *arg, const struct vm_metrics_section *section, struct err *err);

/* Makes the vsock device, whose socket listens at once, in place of a former one; and removes it. */
int machine_apply_vsock(void *arg, const struct vm_vsock *v, struct err *err);
void machine_release_vsock(struct machine *m);

/* Writes a line with the block counters as they were last asked for; a failure is logged. */
void machine_write_metrics(struct machine *m);

/* Timers of the machine: a line is due; QEMU has not told its counters in time. */
void machine_metrics_due(struct loop_timer *timer);
void machine_stats_are_late(struct loop_timer *timer);
