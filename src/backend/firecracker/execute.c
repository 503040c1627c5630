/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One workload: find its images, boot its VM (boot.c), send the request and exchange frames until
 * the result arrives (session), and always clean up (vm.c). The five metrics of a VM's life start
 * and stop here, in boot.c and in fc_vm_cleanup().
 */
#include "backend/firecracker/execute.h"

#include "backend/firecracker/boot.h"
#include "base/clock.h"
#include "session/outcome.h"
#include "session/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

struct fc_run {
        struct fc_backend *backend;
        const struct backend_task *task;
        struct workload_outcome *out;
        struct image_runtime runtime;
        struct image_kernel kernel;
        struct fc_vm_spec vm_spec;
        struct fc_vm vm;
        struct session session;
        bool ready; /* HELLO has arrived */
};

static void stop(void *execution)
{
        struct fc_run *run = execution;

        fc_vm_stop(&run->vm);
}

static bool is_killed(const struct fc_run *run)
{
        return backend_run_is_killed(run->task->run);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        const struct fc_run *run = ctx;
        const struct backend_sink *sink = &run->task->sink;

        return sink->output ? sink->output(sink->ctx, stream, bytes, n) : 0;
}

static void on_received(void *ctx, enum workload_stream stream, size_t n)
{
        const struct fc_run *run = ctx;

        prom_counter_add_int(run->backend->metrics.output[stream], n);
}

static void publish(const struct fc_run *run)
{
        if (run->task->sink.measured)
                run->task->sink.measured(run->task->sink.ctx, run->out);
}

static void on_first_response(void *ctx, uint64_t since_request_ns)
{
        struct fc_run *run = ctx;

        prom_histogram_observe(run->backend->metrics.vsock, ns_to_s(since_request_ns));
        publish(run);
}

static void on_pong(void *ctx, uint64_t since_ping_ns)
{
        struct fc_run *run = ctx;

        prom_histogram_observe(run->backend->metrics.vsock_rtt, ns_to_s(since_ping_ns));
}

/* The VMM exited, or the agent hung up, before the result. */
static int err_ended(struct fc_run *run, const char *what, struct err *err)
{
        struct fc_vmm_exit end;
        int r = fc_err_vmm_exited(&run->vm, what, &end, err);

        if (fc_boot_reason(&end) == FC_REASON_GUEST_PANIC)
                prom_counter_inc(run->backend->metrics.panics);
        return r;
}

/* Waits for the next event and lets the session handle it. */
static int step(struct fc_run *run, struct err *err)
{
        struct session *s = &run->session;
        struct fc_event e;
        int r = fc_vm_await(&run->vm, session_deadline_ns(s), session_poll_events(s),
                            session_stdin_fd(s), &e, err);

        if (r < 0)
                return r;
        if (e.stopped)
                return err_set(err, ECANCELED, "killed");
        r = session_advance(s, run->vm.conn_fd, e.conn, e.extra, err);
        if (r == -ECONNRESET)
                return err_ended(run, "the guest agent was lost", err);
        /* The result of a VMM that has exited may still be in the socket: it is read first. */
        if (r == 0 && e.exited && !session_is_readable(e.conn))
                return err_ended(run, "the guest ended before its program", err);
        return r;
}

/* Request to result. 0 when the result is there. */
static int converse(struct fc_run *run, struct err *err)
{
        static const struct session_events events = {
                .output = on_output,
                .received = on_received,
                .first_response = on_first_response,
                .pong = on_pong,
        };
        const struct session_task task = {
                .id = run->task->id,
                .spec = run->task->spec,
                .runtime = &run->runtime,
                .lease = run->vm.has_lease ? &run->vm.lease : NULL,
                .grace_ms = run->backend->result_grace_ms,
                .events = &events,
                .ctx = run,
                .outcome = run->out,
        };
        int r = session_begin(&run->session, &task, err);

        while (r == 0 && !run->session.has_result)
                if ((r = session_write(&run->session, run->vm.conn_fd, err)) == 0)
                        r = step(run, err);
        return r;
}

static int find_images(struct fc_run *run, struct err *err)
{
        struct fc_backend *b = run->backend;
        int r = image_find_kernel(b->image_dir, &run->kernel, err);

        if (r < 0)
                return r;
        return image_find_runtime(b->image_dir, run->task->spec->runtime, &run->runtime, err);
}

static int run_to_result(struct fc_run *run, struct err *err)
{
        struct fc_backend *b = run->backend;
        const struct backend_sink *sink = &run->task->sink;
        int r;

        if (is_killed(run))
                return err_set(err, ECANCELED, "killed");
        if ((r = find_images(run, err)) < 0) {
                fc_metrics_count_boot_failure(&b->metrics, FC_STAGE_PREPARE, FC_REASON_ERROR);
                return r;
        }
        if (sink->booting)
                sink->booting(sink->ctx);
        if ((r = fc_boot(&run->vm, &run->session, b->boot_timeout_ms, run->task->run,
                         &run->out->boot_ns, err)) < 0)
                return r;
        run->ready = true;
        publish(run);
        if (sink->ready)
                sink->ready(sink->ctx);
        return converse(run, err);
}

/* Passes the fetched files to the sink. They never affect the workload's status. */
static void pass_files(struct fc_run *run, int r)
{
        const struct backend_sink *sink = &run->task->sink;
        const char *why = r == 0 ? NULL : run->out->error[0] ? run->out->error : "lost";
        struct workload_fetch *fetch = session_take_fetched(&run->session, why);

        if (fetch && sink->fetched)
                sink->fetched(sink->ctx, fetch);
        else
                workload_fetch_unref(fetch);
}

void fc_execute(struct backend *base, const struct backend_task *task, struct workload_outcome *ret)
{
        struct fc_backend *b = (struct fc_backend *)base;
        struct fc_run run = {.backend = b, .task = task, .out = ret, .session = SESSION_INIT};
        struct err err = ERR_INIT;
        int r;

        *ret = (struct workload_outcome){.exit_code = -1};
        run.vm_spec = (struct fc_vm_spec){
                .id = task->id,
                .vms_dir = b->vms_dir,
                .vmm = b->vmm,
                .kernel = &run.kernel,
                .rootfs = run.runtime.rootfs,
                .cpus = task->spec->limits.cpus,
                .mem_mb = task->spec->limits.mem_mb,
                .net = task->spec->network == WORKLOAD_NETWORK_NAT ? b->net : NULL,
                .metrics = &b->metrics,
                .remains = b->remains,
                .env = b->vmm_env,
        };
        r = fc_vm_init(&run.vm, &run.vm_spec, &err);
        if (r == 0) {
                backend_run_enter(task->run, stop, &run);
                r = run_to_result(&run, &err);
                session_decide(&run.session, r, &err, is_killed(&run), ret);
                pass_files(&run, r);
                publish(&run);
                ret->cleanup_ns = fc_vm_cleanup(&run.vm, run.ready);
                publish(&run);
                backend_run_leave(task->run);
                session_decide(&run.session, r, &err, is_killed(&run), ret);
                fc_vm_release(&run.vm);
        } else {
                session_decide(&run.session, r, &err, is_killed(&run), ret);
        }
        prom_counter_add_int(b->metrics.dropped, ret->dropped_bytes);
        session_release(&run.session);
        image_runtime_release(&run.runtime);
        fc_metrics_count_workload(&b->metrics, task->spec->runtime, ret->status);
}
