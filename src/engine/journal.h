/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's log of workloads: one line at each step of a life, at level debug; one for each
 * failed workload, at level info. Never code, output, or text from a guest's console.
 */
#pragma once

#include "engine/job.h"

#include <stdbool.h>

void journal_accepted(const struct job *job);
void journal_begun(const struct job *job);
void journal_kill(const struct job *job);

/* `daemon`: failures at level info. Without a store whoever runs the workload reports them. */
void journal_ended(const struct job *job, bool daemon);
