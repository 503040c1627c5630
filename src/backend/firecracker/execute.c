/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execute: image, network and configuration -> VMM -> agent connects -> request -> first byte ->
 * stream -> result -> cleanup, always. What each of the five metrics measures starts and stops here
 * and in fc_vm_cleanup().
 */
#include "backend/firecracker/execute.h"

#include "backend/firecracker/boot.h"
#include "session/deadline.h"
#include "session/session.h"
#include "base/clock.h"

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
        struct session_deadline deadline; /* of the result */
        bool ready;                       /* the agent has said HELLO */
        bool sink_gone;                   /* nobody takes output any more */
        bool overdue;                     /* the agent did not report before its deadline */
        struct fc_run *next;
};

struct fc_run *fc_run_find(struct fc_backend *b, const char *id)
{
        struct fc_run *run = b->runs;

        while (run && strcmp(run->task->id, id) != 0)
                run = run->next;
        return run;
}

void fc_run_stop(struct fc_run *run)
{
        fc_vm_stop(&run->vm);
}

static void make_known(struct fc_run *run)
{
        struct fc_backend *b = run->backend;

        pthread_mutex_lock(&b->runs_lock);
        run->next = b->runs;
        b->runs = run;
        pthread_mutex_unlock(&b->runs_lock);
}

static void make_unknown(struct fc_run *run)
{
        struct fc_backend *b = run->backend;
        struct fc_run **at = &b->runs;

        pthread_mutex_lock(&b->runs_lock);
        while (*at != run)
                at = &(*at)->next;
        *at = run->next;
        pthread_cond_broadcast(&b->runs_changed);
        pthread_mutex_unlock(&b->runs_lock);
}

static bool was_stopped(const struct fc_run *run)
{
        return atomic_load(&run->vm.stopped) ||
               (run->task->killed && atomic_load(run->task->killed));
}

static int err_overdue(struct fc_run *run, struct err *err)
{
        run->overdue = true;
        return err_set(err, ETIMEDOUT, "the guest agent did not report in time");
}

/*
 * Passes output to the sink, up to the limit. One receive can hold thousands of frames, each of which
 * may take the sink a while: so each is followed by a look at the deadline.
 */
static int give_to_sink(struct fc_run *run, enum workload_stream stream, const void *bytes,
                        size_t n)
{
        const struct backend_sink *sink = &run->task->sink;
        uint64_t from = clock_ns(), until;
        int r = sink->output(sink->ctx, stream, bytes, n);

        until = clock_ns();
        if (r < 0) {
                run->sink_gone = true;
                return r;
        }
        session_deadline_hold(&run->deadline, from, until);
        return session_deadline_passed(&run->deadline, until, true) ? err_overdue(run, NULL) : 0;
}

/* Counts output and passes it on, up to the limit. Called by the session. */
static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct fc_run *run = ctx;
        struct fc_metrics *m = &run->backend->metrics;
        uint64_t max = run->task->spec->limits.output_max;
        uint64_t room = run->out->output_bytes < max ? max - run->out->output_bytes : 0;

        run->out->output_bytes += n;
        prom_counter_add_int(m->output[stream], n);
        if (n > room) {
                run->out->dropped_bytes += n - room;
                n = room;
        }
        return n && run->task->sink.output ? give_to_sink(run, stream, bytes, n) : 0;
}

static void publish(const struct fc_run *run)
{
        if (run->task->sink.measured)
                run->task->sink.measured(run->task->sink.ctx, run->out);
}

static void on_first_response(void *ctx, uint64_t since_request_ns)
{
        struct fc_run *run = ctx;

        run->out->vsock_ns = since_request_ns;
        prom_histogram_observe(run->backend->metrics.vsock, ns_to_s(since_request_ns));
        publish(run);
}

static void on_pong(void *ctx, uint64_t since_ping_ns)
{
        struct fc_run *run = ctx;

        prom_histogram_observe(run->backend->metrics.vsock_rtt, ns_to_s(since_ping_ns));
}

/* The agent bounds the program, and before that the unpacking of an archive and the arrival of files,
 * by the time limit; and after it the search for files (docs/protocol.md). */
static void start_deadline(struct fc_run *run)
{
        const struct workload_spec *spec = run->task->spec;
        uint64_t limits = spec->archive || spec->n_files ? 2 : 1;
        uint64_t fetch_ms = spec->n_fetch ? WIRE_FETCH_MS : 0;

        session_deadline_init(&run->deadline, run->session.request_ns,
                              limits * spec->limits.timeout_s * NS_PER_S + fetch_ms * NS_PER_MS,
                              run->backend->result_grace_ms * NS_PER_MS);
}

/* The VM ended under its program. */
static int err_ended(struct fc_run *run, const char *what, struct err *err)
{
        struct fc_vmm_end end;
        int r = fc_err_vmm_ended(&run->vm, what, &end, err);

        if (fc_boot_reason(&end) == FC_REASON_GUEST_PANIC)
                prom_counter_inc(run->backend->metrics.panics);
        return r;
}

/* Reads and writes until the result is there or the deadline has passed. */
static int stream(struct fc_run *run, struct err *err)
{
        struct session *s = &run->session;

        while (!s->has_result) {
                struct fc_event e;
                short want;
                int r;

                r = session_write(s, run->vm.conn_fd, err);
                if (r < 0 && r != -ECONNRESET)
                        return r;
                want = (short)(POLLIN | (session_wants_write(s) ? POLLOUT : 0));
                r = fc_vm_await(&run->vm, run->deadline.at_ns, want, session_stdin_fd(s), &e, err);
                if (r < 0)
                        return r;
                if (e.stopped)
                        return err_set(err, ECANCELED, "killed");
                if (session_deadline_passed(&run->deadline, clock_ns(), e.conn & POLLIN))
                        return err_overdue(run, err);
                if (e.extra)
                        session_read_stdin(s);
                if (e.conn & (POLLIN | POLLHUP | POLLERR)) {
                        r = session_read(s, run->vm.conn_fd, err);
                        if (r == -ECONNRESET)
                                return err_ended(run, "the guest agent was lost", err);
                        if (r < 0)
                                return r;
                } else if (e.exited) {
                        return err_ended(run, "the guest ended before its program", err);
                }
        }
        return 0;
}

/* Request to result. 0 when the result is there. */
static int converse(struct fc_run *run, struct err *err)
{
        static const struct session_events events = {
                .output = on_output,
                .first_response = on_first_response,
                .pong = on_pong,
        };
        int r = session_begin(&run->session, run->task->id, run->task->spec, &run->runtime,
                              run->vm.has_lease ? &run->vm.lease : NULL, &events, run, err);

        if (r < 0)
                return r;
        start_deadline(run);
        return stream(run, err);
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

        if (was_stopped(run))
                return err_set(err, ECANCELED, "killed");
        if ((r = find_images(run, err)) < 0) {
                fc_metrics_count_boot_failure(&b->metrics, FC_STAGE_PREPARE, FC_REASON_ERROR);
                return r;
        }
        if (sink->booting)
                sink->booting(sink->ctx);
        if ((r = fc_boot(&run->vm, &run->session, b->boot_timeout_ms, run->task->killed,
                         &run->out->boot_ns, err)) < 0)
                return r;
        run->ready = true;
        publish(run);
        if (sink->ready)
                sink->ready(sink->ctx);
        return converse(run, err);
}

static void fail(struct workload_outcome *out, const char *text)
{
        out->status = WORKLOAD_FAILED;
        snprintf(out->error, sizeof(out->error), "%s", text);
}

static void fail_timed_out(struct fc_run *run)
{
        char text[64];

        snprintf(text, sizeof(text), "workload timed out after %u s",
                 run->task->spec->limits.timeout_s);
        run->out->timed_out = true;
        fail(run->out, text);
}

/* What the agent reported becomes the outcome. */
static void take_result(struct fc_run *run)
{
        const struct wire_result *result = &run->session.result;
        struct workload_outcome *out = run->out;
        char text[128];

        out->exit_code = result->exit_code;
        out->signal = result->signal;
        out->wall_us = result->wall_us;
        out->user_us = result->user_us;
        out->system_us = result->system_us;
        out->memory_peak = result->memory_peak;
        out->output_bytes += result->dropped_bytes;
        out->dropped_bytes += result->dropped_bytes;
        out->status = WORKLOAD_COMPLETED;
        if (result->error) {
                fail(out, result->error);
        } else if (result->timed_out) {
                fail_timed_out(run);
        } else if (result->oom) {
                out->oom = true;
                snprintf(text, sizeof(text), "the guest ran out of memory (%u MiB); allow it more",
                         run->task->spec->limits.mem_mb);
                fail(out, text);
        }
}

static void end_as_killed(struct fc_run *run, const char *why)
{
        run->out->status = WORKLOAD_KILLED;
        run->out->timed_out = run->out->oom = false;
        snprintf(run->out->error, sizeof(run->out->error), "%s", why);
}

/* How its run ended. */
static void decide(struct fc_run *run, int r, const struct err *err)
{
        if (r == 0)
                take_result(run);
        else if (run->overdue && !was_stopped(run))
                fail_timed_out(run);
        else if (run->sink_gone)
                end_as_killed(run, "killed: nobody reads its output");
        else if (was_stopped(run))
                end_as_killed(run, "killed");
        else
                fail(run->out, err->msg);
}

/*
 * Whether it was killed on the way down. The status is decided in these two functions and nowhere
 * else: a kill counts until all of the workload is gone.
 */
static void decide_at_last(struct fc_run *run)
{
        if (run->out->status != WORKLOAD_KILLED && was_stopped(run))
                end_as_killed(run, "killed while it was taken down");
}

/* Hands on what came of the files asked for. It says nothing about the workload's status. */
static void hand_on_files(struct fc_run *run, int r)
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
                make_known(&run);
                r = run_to_result(&run, &err);
                decide(&run, r, &err);
                hand_on_files(&run, r);
                publish(&run);
                ret->cleanup_ns = fc_vm_cleanup(&run.vm, run.ready);
                publish(&run);
                make_unknown(&run);
                decide_at_last(&run);
                fc_vm_release(&run.vm);
        } else {
                decide(&run, r, &err);
        }
        prom_counter_add_int(b->metrics.dropped, ret->dropped_bytes);
        session_release(&run.session);
        image_runtime_release(&run.runtime);
        fc_metrics_count_workload(&b->metrics, task->spec->runtime, ret->status);
}
