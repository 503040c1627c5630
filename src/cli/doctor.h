/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `vulcan doctor` finds on this machine. It starts no VM and leaves nothing behind: an empty
 * directory is made where the state directory is or would be, and removed.
 * Thread rule: main thread.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

enum { DOCTOR_FINDINGS_MAX = 64 };

enum doctor_verdict {
        DOCTOR_OK,
        DOCTOR_WARN,    /* workloads run, but something is worse than it could be */
        DOCTOR_MISSING, /* no workload with network none can run before this is mended */
};

struct doctor_finding {
        enum doctor_verdict verdict;
        char what[40]; /* "kernel" */
        char found[ERR_MESSAGE_MAX];
        char advice[ERR_MESSAGE_MAX]; /* "" where nothing is to be done */
};

struct doctor_report {
        struct doctor_finding items[DOCTOR_FINDINGS_MAX];
        size_t n;
};

const char *doctor_verdict_name(enum doctor_verdict verdict); /* "ok", "warn", "missing" */

/* Looks at everything. Never fails: what cannot be looked at is a finding. */
void doctor_examine(const struct settings *s, struct doctor_report *ret);

/* True if a workload with network none could run. */
bool doctor_can_run(const struct doctor_report *report);
