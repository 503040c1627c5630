/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of `vulcan doctor`: those of each backend, of the machine, and of the state directory.
 * They start no VM and leave nothing behind: a temporary directory is created in the state
 * directory, or in its nearest existing parent, and removed. Thread rule: main thread.
 */
#pragma once

#include "backend/findings.h"
#include "config/settings.h"

struct doctor_report {
        struct backend_findings findings;
        bool can_run; /* at least one backend can run a workload with network none */
};

/* Never fails: a check that could not be made is a finding. */
void doctor_examine(const struct settings *s, struct doctor_report *ret);
