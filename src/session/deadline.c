/* SPDX-License-Identifier: Apache-2.0 */
#include "session/deadline.h"

static uint64_t min_ns(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

void session_deadline_init(struct session_deadline *d, uint64_t request_ns, uint64_t limit_ns,
                           uint64_t grace_ns)
{
        *d = (struct session_deadline){
                .at_ns = request_ns + limit_ns + grace_ns,
                .grace_ns = grace_ns,
                .credit_ns = limit_ns / SESSION_DEADLINE_CREDIT_PART + grace_ns,
        };
}

void session_deadline_hold(struct session_deadline *d, uint64_t from_ns, uint64_t until_ns)
{
        uint64_t wanted = until_ns + d->grace_ns;
        uint64_t more;

        if (wanted <= d->at_ns)
                return;
        more = min_ns(min_ns(wanted - d->at_ns, until_ns - from_ns), d->credit_ns);
        d->at_ns += more;
        d->credit_ns -= more;
}

bool session_deadline_passed(struct session_deadline *d, uint64_t now_ns, bool pending)
{
        uint64_t late;

        if (now_ns < d->at_ns)
                return false;
        if (!pending || d->extended)
                return true;
        late = now_ns - d->at_ns;
        d->at_ns = now_ns + min_ns(late + d->credit_ns, d->grace_ns);
        d->credit_ns = 0;
        d->extended = true;
        return now_ns >= d->at_ns;
}
