/* SPDX-License-Identifier: Apache-2.0 */
#include "session/outcome.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 3, 4))) static void
end_as(struct workload_outcome *o, enum workload_status status, const char *fmt, ...)
{
        va_list ap;

        o->status = status;
        va_start(ap, fmt);
        vsnprintf(o->error, sizeof(o->error), fmt, ap);
        va_end(ap);
}

static void end_as_killed(struct workload_outcome *o, const char *why)
{
        o->timed_out = o->oom = false;
        end_as(o, WORKLOAD_KILLED, "%s", why);
}

static void end_as_timed_out(struct workload_outcome *o, const struct workload_spec *spec)
{
        o->timed_out = true;
        end_as(o, WORKLOAD_FAILED, "workload timed out after %u s", spec->limits.timeout_s);
}

static void end_as_reported(struct workload_outcome *o, const struct session *s)
{
        const struct workload_spec *spec = s->task.spec;

        if (s->result.error) {
                end_as(o, WORKLOAD_FAILED, "%s", s->result.error);
        } else if (s->result.timed_out) {
                end_as_timed_out(o, spec);
        } else if (s->result.oom) {
                o->oom = true;
                end_as(o, WORKLOAD_FAILED, "the guest ran out of memory (%u MiB); allow it more",
                       spec->limits.mem_mb);
        } else {
                o->status = WORKLOAD_COMPLETED;
        }
}

void session_decide(const struct session *s, int r, const struct err *err, bool killed,
                    struct workload_outcome *o)
{
        if (workload_status_is_end(o->status)) {
                if (killed && o->status != WORKLOAD_KILLED)
                        end_as_killed(o, "killed while it was taken down");
        } else if (r == 0) {
                end_as_reported(o, s);
        } else if (s->overdue && !killed) {
                end_as_timed_out(o, s->task.spec);
        } else if (s->output_refused) {
                end_as_killed(o, "killed: nobody reads its output");
        } else if (killed) {
                end_as_killed(o, "killed");
        } else {
                end_as(o, WORKLOAD_FAILED, "%s", err->msg);
        }
}
