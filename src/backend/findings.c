/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/findings.h"

#include <stdarg.h>
#include <stdio.h>

const char *backend_verdict_name(enum backend_verdict verdict)
{
        static const char *const names[] = {"ok", "warn", "missing"};

        return names[verdict];
}

struct backend_finding *backend_find(struct backend_findings *report, enum backend_verdict verdict,
                                     const char *what, const char *fmt, ...)
{
        struct backend_finding *f;
        va_list ap;

        if (report->n == BACKEND_FINDINGS_MAX)
                report->n--;
        f = &report->items[report->n++];
        *f = (struct backend_finding){.verdict = verdict};
        snprintf(f->what, sizeof(f->what), "%s", what);
        va_start(ap, fmt);
        vsnprintf(f->found, sizeof(f->found), fmt, ap);
        va_end(ap);
        return f;
}

void backend_advise(struct backend_finding *finding, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(finding->advice, sizeof(finding->advice), fmt, ap);
        va_end(ap);
}

const struct backend_finding *backend_first_missing(const struct backend_findings *report)
{
        for (size_t i = 0; i < report->n; i++)
                if (report->items[i].verdict == BACKEND_MISSING)
                        return &report->items[i];
        return NULL;
}
