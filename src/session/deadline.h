/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deadline for a workload's result. The agent applies the time limit from the request on; the
 * host waits for the limit plus a grace, and then counts the agent as lost.
 *
 * Two delays on the host can hide a result that arrived in time, and therefore extend the wait: a
 * slow sink for output, and a process that was not scheduled. A guest could prolong the former
 * without limit by endless output. So both draw on one credit, a tenth of the limit plus the grace.
 * Whatever a guest sends, the wait ends at
 *
 *     request + limit + grace + credit + (once, the time by which a check came too late)
 *
 * Thread rule: plain data. Callers pass the time, in ns of CLOCK_MONOTONIC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SESSION_DEADLINE_CREDIT_PART = 10 }; /* the credit is 1/10 of the limit, plus the grace */

struct session_deadline {
        uint64_t at_ns;
        uint64_t grace_ns;
        uint64_t credit_ns; /* unused part of the credit */
        bool extended;      /* the last extension was granted */
};

void session_deadline_init(struct session_deadline *d, uint64_t request_ns, uint64_t limit_ns,
                           uint64_t grace_ns);

/* Accounts for a sink that blocked from from_ns to until_ns: moves the deadline to a grace after
 * until_ns, if the credit allows, but never by more than the sink took. */
void session_deadline_hold(struct session_deadline *d, uint64_t from_ns, uint64_t until_ns);

/*
 * True if the deadline has passed at now_ns. `pending`: unread bytes of the agent have arrived. If
 * they have when the deadline passes, it is extended once, by the unused credit plus the time by
 * which this check came too late, up to a grace.
 */
bool session_deadline_passed(struct session_deadline *d, uint64_t now_ns, bool pending);
