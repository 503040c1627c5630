/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/journal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

void journal_accepted(const struct job *job)
{
        const struct workload *w = &job->record;
        const char *client = job->spec.client;

        log_debug("workload %s: accepted: %s, %u CPUs, %u MiB, %u s, network %s%s%s", w->id,
                  w->runtime, w->limits.cpus, w->limits.mem_mb, w->limits.timeout_s,
                  workload_network_name(w->network), *client ? ", from " : "", client);
}

void journal_begun(const struct job *job)
{
        log_debug("workload %s: starts after waiting %.1f ms", job->id,
                  ns_to_s(job->began_ns - job->accepted_ns) * 1000);
}

void journal_kill(const struct job *job)
{
        log_debug("workload %s: kill requested", job->id);
}

/* The reason in one line, without the console's text; other bytes than printable ASCII
 * become '?'. */
static void reason_of(const struct workload_outcome *o, char *ret, size_t size)
{
        const char *end = strstr(o->error, "; console: ");
        size_t n = end ? (size_t)(end - o->error) : strlen(o->error), i;

        if (o->status == WORKLOAD_COMPLETED && o->signal) {
                snprintf(ret, size, "signal %d", o->signal);
        } else if (o->status == WORKLOAD_COMPLETED) {
                snprintf(ret, size, "exit code %d", o->exit_code);
        } else {
                for (i = 0; i < n && i + 1 < size; i++)
                        ret[i] = o->error[i] >= ' ' && o->error[i] < 0x7f ? o->error[i] : '?';
                ret[i] = '\0';
        }
}

void journal_ended(const struct job *job, bool daemon)
{
        const struct workload *w = &job->record;
        const struct workload_outcome *o = &w->outcome;
        char reason[ERR_MESSAGE_MAX];

        reason_of(o, reason, sizeof(reason));
        log_line(w->status == WORKLOAD_FAILED && daemon ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
                 "workload %s: %s: %s (%s; %lld ms: boot %.1f, program %.1f, cleanup %.1f)", w->id,
                 workload_status_name(w->status), reason, w->runtime,
                 w->started_ms ? (long long)(w->finished_ms - w->started_ms) : 0LL,
                 ns_to_s(o->boot_ns) * 1000, (double)o->wall_us / 1000,
                 ns_to_s(o->cleanup_ns) * 1000);
}
