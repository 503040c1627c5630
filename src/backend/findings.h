/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report of a check: a bounded list of findings, each with what was examined, what was found
 * and what to do about it. backend_ops.check() fills one; `vulcan doctor` prints it and `vulcan
 * serve` refuses to start on a BACKEND_MISSING.
 *
 *     backend_advise(backend_find(report, BACKEND_WARN, "kvm", "no /dev/kvm"),
 *                    "load the module kvm_intel or kvm_amd");
 *
 * Thread rule: plain data.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { BACKEND_FINDINGS_MAX = 64 }; /* in one report; the last one replaces any beyond that */

enum backend_verdict {
        BACKEND_OK,
        BACKEND_WARN,    /* workloads run, but slower or with fewer features */
        BACKEND_MISSING, /* no workload can run until this is fixed */
};

struct backend_finding {
        enum backend_verdict verdict;
        char what[40];                /* what was examined: "kernel" */
        char found[ERR_MESSAGE_MAX];  /* one line */
        char advice[ERR_MESSAGE_MAX]; /* what to do about it; "" if nothing */
};

struct backend_findings {
        struct backend_finding items[BACKEND_FINDINGS_MAX];
        size_t n;
};

/* "ok", "warn", "missing". */
const char *backend_verdict_name(enum backend_verdict verdict);

/* Adds a finding without advice and returns it. */
struct backend_finding *backend_find(struct backend_findings *report, enum backend_verdict verdict,
                                     const char *what, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* Sets the advice of a finding. */
void backend_advise(struct backend_finding *finding, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* The first finding that keeps workloads from running; NULL if none does. */
const struct backend_finding *backend_first_missing(const struct backend_findings *report);
