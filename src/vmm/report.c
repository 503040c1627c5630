/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/report.h"

#include "base/clock.h"
#include "vmm/logger.h"

static int write_line(struct report *r, struct err *err)
{
        r->metrics->missed_log_count = logger_missed();
        stats_set_net(r->metrics, r->cfg, &r->net_base);
        return metrics_file_write(&r->file, r->metrics, err);
}

void report_write(struct report *r)
{
        struct err err = ERR_INIT;

        if (write_line(r, &err) < 0)
                logger_warn("%s", err.msg);
}

/* Writes the line that waited for QEMU's counters. */
static void finish(struct report *r)
{
        struct err err = ERR_INIT;
        bool asked = r->asked;
        int result;

        if (!r->waiting)
                return;
        r->waiting = r->asked = false;
        loop_set_timer(r->loop, &r->late, 0);
        result = write_line(r, &err);
        if (result < 0)
                logger_warn("%s", err.msg);
        if (asked)
                r->flushed(r->arg, result < 0 ? err.msg : NULL);
}

static void counters_arrived(void *arg, const char *error, const json_t *result)
{
        struct report *r = arg;

        if (!error)
                stats_set_block(r->metrics, result);
        finish(r);
}

/* QEMU is too busy, or gone: the line has the counters known so far, the next one the rest. */
static void counters_are_late(struct loop_timer *timer)
{
        finish(timer->owner);
}

static void collect(struct report *r)
{
        if (r->waiting)
                return;
        r->waiting = true;
        loop_set_timer(r->loop, &r->late, clock_ns() + REPORT_WAIT_NS);
        if (qmp_execute(r->qmp, "query-blockstats", counters_arrived, r, NULL) < 0)
                finish(r);
}

static void line_is_due(struct loop_timer *timer)
{
        struct report *r = timer->owner;

        collect(r);
        loop_set_timer(r->loop, timer, clock_ns() + VMM_METRICS_PERIOD_NS);
}

void report_init(struct report *r, struct loop *loop, struct qmp *qmp, const struct vm_config *cfg,
                 struct vmm_metrics *metrics, void (*flushed)(void *arg, const char *error),
                 void *arg)
{
        *r = (struct report){.loop = loop,
                             .qmp = qmp,
                             .cfg = cfg,
                             .metrics = metrics,
                             .file = METRICS_FILE_INIT,
                             .due = {.expired = line_is_due, .owner = r},
                             .late = {.expired = counters_are_late, .owner = r},
                             .flushed = flushed,
                             .arg = arg};
}

void report_release(struct report *r)
{
        metrics_file_close(&r->file);
}

int report_open(struct report *r, const struct vm_metrics_section *section, const char *id,
                struct err *err)
{
        r->file.head.id = section->emit_id ? id : NULL;
        r->file.head.properties = section->properties;
        return metrics_file_open(&r->file, section->metrics_path, err);
}

void report_begin(struct report *r)
{
        stats_net_read(r->cfg, &r->net_base);
}

void report_start(struct report *r)
{
        report_write(r);
        if (r->file.fd >= 0)
                loop_set_timer(r->loop, &r->due, clock_ns() + VMM_METRICS_PERIOD_NS);
}

int report_flush(struct report *r)
{
        if (r->file.fd < 0)
                return 0;
        r->asked = true;
        collect(r);
        return r->asked ? 1 : 0;
}
