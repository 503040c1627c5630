/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the host waits for a result. The agent's clock runs from the request; the host waits until
 * the limit and a grace have passed, and then counts the agent as lost.
 *
 * Two things can hide a result that arrived in time, and extend the wait: a slow sink for output, and
 * a host process that was not scheduled. A guest can prolong the first one by endless output. So both
 * draw on one credit, a tenth of the limit plus the grace, and the wait ends at
 *
 *     request + limit + grace + credit + (time during which nobody looked, once)
 *
 * whatever a guest sends. Pure arithmetic: callers pass in the time, in nanoseconds of
 * CLOCK_MONOTONIC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SESSION_DEADLINE_CREDIT_PART = 10 }; /* 1/10 of the limit, and the grace, may be credited */

struct session_deadline {
        uint64_t at_ns;
        uint64_t grace_ns;
        uint64_t credit_ns; /* not yet used */
        bool extended;      /* the last grace has been granted */
};

void session_deadline_init(struct session_deadline *d, uint64_t request_ns, uint64_t limit_ns,
                           uint64_t grace_ns);

/* A sink took from from_ns to until_ns. Moves the deadline, as far as the credit reaches, so that the
 * agent has a grace to be heard in from then on; never by more than the sink took. */
void session_deadline_hold(struct session_deadline *d, uint64_t from_ns, uint64_t until_ns);

/*
 * True if the wait is over at now_ns. `pending`: bytes of the agent wait to be read. If they do when
 * the deadline passes, what is left of the credit, and the time by which this look is late, extend
 * the deadline by up to a grace, once.
 */
bool session_deadline_passed(struct session_deadline *d, uint64_t now_ns, bool pending);
