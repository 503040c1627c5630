/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the metrics file: when one is written, and the counters that QEMU and the kernel
 * keep (stats.h), which it collects first.
 *
 *     report_init(&r, &loop, &qmp, &cfg, &metrics, flushed, arg);
 *     report_begin(&r);     before the guest starts
 *     report_start(&r);     the guest has been started: the first line, then one a period
 *     report_flush(&r);     a line soon; flushed() follows
 *     report_write(&r);     a line immediately: the last one
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/config.h"
#include "vmm/loop.h"
#include "vmm/metrics.h"
#include "vmm/qmp.h"
#include "vmm/stats.h"

/* How long a line waits for QEMU's counters. A client that requests a line before it kills the VMM
 * waits up to this long too. */
#define REPORT_WAIT_NS UINT64_C(50000000)

struct report {
        struct loop *loop;
        struct qmp *qmp;
        const struct vm_config *cfg;
        struct vmm_metrics *metrics;
        struct metrics_file file;
        struct loop_timer due;
        struct loop_timer late;    /* armed while `waiting` */
        bool waiting;              /* QEMU was asked for its counters; a line follows */
        bool asked;                /* report_flush() was called, and flushed() must follow */
        struct stats_net net_base; /* what the interfaces had moved before the guest */
        void (*flushed)(void *arg, const char *error); /* NULL: the line is written */
        void *arg;
};

void report_init(struct report *r, struct loop *loop, struct qmp *qmp, const struct vm_config *cfg,
                 struct vmm_metrics *metrics, void (*flushed)(void *arg, const char *error),
                 void *arg);
void report_release(struct report *r);

/* Opens the file that the configuration names, in place of a former one. `id` is kept by
 * pointer. */
int report_open(struct report *r, const struct vm_metrics_section *section, const char *id,
                struct err *err);

void report_begin(struct report *r);
void report_start(struct report *r);

/* 1: flushed() follows; 0: there is no file, or the line was written without waiting for QEMU. */
int report_flush(struct report *r);

/* Uses the block counters that were collected last. Logs a failure. */
void report_write(struct report *r);
