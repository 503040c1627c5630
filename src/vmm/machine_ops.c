/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine_ops.h"

#include "base/clock.h"
#include "vmm/logger.h"

#include <errno.h>

static int write_metrics(struct machine *m, struct err *err)
{
        m->metrics.missed_log_count = logger_missed();
        stats_set_net(&m->metrics, &m->cfg, &m->net_base);
        return metrics_file_write(&m->metrics_file, &m->metrics, err);
}

void machine_write_metrics(struct machine *m)
{
        struct err err = ERR_INIT;

        if (write_metrics(m, &err) < 0)
                logger_warn("%s", err.msg);
}

/* Writes the line that waited for QEMU's counters, and answers whoever asked for it. */
static void finish_flush(struct machine *m)
{
        struct err err = ERR_INIT;
        int r;

        if (!m->flushing)
                return;
        m->flushing = false;
        loop_set_timer(&m->loop, &m->flush_timer, 0);
        r = write_metrics(m, &err);
        if (r < 0)
                logger_warn("%s", err.msg);
        if (m->flush_asked)
                api_complete(&m->api, r < 0 ? err.msg : NULL);
        m->flush_asked = false;
}

static void stats_arrived(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;

        if (!error)
                stats_set_block(&m->metrics, result);
        finish_flush(m);
}

/* QEMU is too busy, or gone: the line says what is known, the next one the rest. */
void machine_stats_are_late(struct loop_timer *timer)
{
        finish_flush(timer->owner);
}

static void flush_metrics(struct machine *m)
{
        if (m->flushing)
                return;
        m->flushing = true;
        loop_set_timer(&m->loop, &m->flush_timer, clock_ns() + MACHINE_STATS_WAIT_NS);
        if (qmp_execute(&m->qmp, "query-blockstats", stats_arrived, m, NULL) < 0)
                finish_flush(m);
}

void machine_metrics_due(struct loop_timer *timer)
{
        struct machine *m = timer->owner;

        flush_metrics(m);
        loop_set_timer(&m->loop, timer, clock_ns() + VMM_METRICS_PERIOD_NS);
}

static void paused(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;

        (void)result;
        if (!error) {
                m->api.state = VM_PAUSED;
                m->metrics.pause_vm_us = (clock_ns() - m->asked_ns) / NS_PER_US;
        }
        api_complete(&m->api, error);
}

static void resumed(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;

        (void)result;
        if (!error) {
                m->api.state = VM_RUNNING;
                m->metrics.resume_vm_us = (clock_ns() - m->asked_ns) / NS_PER_US;
        }
        api_complete(&m->api, error);
}

static int op_pause(void *arg, struct err *err)
{
        struct machine *m = arg;
        int r = qmp_execute(&m->qmp, "stop", paused, m, err);

        m->asked_ns = clock_ns();
        return r < 0 ? r : 1;
}

static int op_resume(void *arg, struct err *err)
{
        struct machine *m = arg;
        int r = qmp_execute(&m->qmp, "cont", resumed, m, err);

        m->asked_ns = clock_ns();
        return r < 0 ? r : 1;
}

static int op_flush(void *arg, struct err *err)
{
        struct machine *m = arg;

        (void)err;
        if (m->metrics_file.fd < 0)
                return 0; /* no file, nothing to do */
        m->flush_asked = true;
        flush_metrics(m);
        return m->flush_asked ? 1 : 0;
}

static void powered_down(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;

        (void)result;
        api_complete(&m->api, error);
}

/* There is no keyboard; what a guest can hear, where it has ACPI, is the power button. */
static int op_ctrl_alt_del(void *arg, struct err *err)
{
        struct machine *m = arg;
        int r;

        if (!m->has_acpi)
                return err_set(err, ENOTSUP,
                               "SendCtrlAltDel is not supported by vulcan-vmm with "
                               "this kernel: the machine has neither a keyboard nor ACPI");
        r = qmp_execute(&m->qmp, "system_powerdown", powered_down, m, err);
        return r < 0 ? r : 1;
}

int machine_apply_logger(void *arg, const struct vm_logger *l, struct err *err)
{
        enum logger_level level;

        (void)arg;
        if (l->log_path && logger_open(l->log_path, err) < 0)
                return -err->code;
        if (l->level && logger_level_parse(l->level, &level) == 0)
                logger_set_level(level);
        logger_set_show(l->show_level, l->show_log_origin);
        return 0;
}

int machine_apply_metrics(void *arg, const struct vm_metrics_section *section, struct err *err)
{
        struct machine *m = arg;

        m->metrics_file.head.id = section->emit_id ? m->args->id : NULL;
        m->metrics_file.head.properties = section->properties;
        return metrics_file_open(&m->metrics_file, section->metrics_path, err);
}

void machine_release_vsock(struct machine *m)
{
        if (!m->has_vsock)
                return;
        vsock_release(&m->vsock);
        vu_release(&m->vu);
        m->has_vsock = false;
}

/* The socket listens from here on, not only when the guest starts: one that cannot be had is an
 * error of this request, and a client may connect already. */
int machine_apply_vsock(void *arg, const struct vm_vsock *v, struct err *err)
{
        struct machine *m = arg;

        machine_release_vsock(m);
        vu_init(&m->vu, (uint64_t)v->guest_cid);
        if (vsock_init(&m->vsock, &m->loop, &m->vu, &m->metrics, (uint64_t)v->guest_cid,
                       v->uds_path, err) < 0) {
                vu_release(&m->vu);
                return -err->code;
        }
        m->has_vsock = true;
        return 0;
}

const struct api_ops machine_ops = {
        .start = machine_start,
        .pause = op_pause,
        .resume = op_resume,
        .flush_metrics = op_flush,
        .ctrl_alt_del = op_ctrl_alt_del,
        .apply_logger = machine_apply_logger,
        .apply_metrics = machine_apply_metrics,
        .apply_vsock = machine_apply_vsock,
};
