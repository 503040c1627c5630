/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of `vulcan doctor`: those of each backend, and those of the machine and the state
 * directory. They start no VM and leave nothing behind: an empty directory is made where the state
 * directory is or would be, and removed.
 * Thread rule: main thread.
 */
#pragma once

#include "backend/findings.h"
#include "config/settings.h"

struct doctor_report {
        struct backend_findings findings;
        bool can_run; /* at least one backend can run a workload with network none */
};

/* Never fails: a check that cannot be made is a finding. */
void doctor_examine(const struct settings *s, struct doctor_report *ret);
