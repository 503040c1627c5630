/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/boot.h"

#include "backend/firecracker/flush.h"
#include "backend/firecracker/stages.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
        CONSOLE_MAX = 240,  /* bytes of console in an error message */
        LOG_MAX = 160,      /* bytes of the VMM's log in a message that also shows the console */
        VMM_NAME_MAX = 120, /* bytes of the VMM's path in a message */
        EXIT_WAIT_MS = 100, /* for the exit of a VMM whose connection has closed */
};

/* Exit codes of Firecracker (src/vmm/src/lib.rs, FcExitCode). */
enum {
        EXIT_OK = 0,
        EXIT_GENERIC_ERROR = 1,
        EXIT_BAD_CONFIGURATION = 152,
        EXIT_BAD_ARGUMENTS = 153,
};

struct boot {
        struct fc_vm *vm;
        struct session *session;
        const struct backend_run *run;
        unsigned timeout_ms;
        uint64_t deadline_ns; /* of both attempts; 0: no VMM has been started */
        int attempt;          /* 1 or 2 */
        uint64_t boot_ns;
        enum fc_stage stage;
        enum fc_reason reason;
        struct fc_vmm_exit end;
};

enum fc_reason fc_boot_reason(const struct fc_vmm_exit *end)
{
        bool by_guest = end->exit_code == EXIT_OK ||
                        (end->exit_code == EXIT_GENERIC_ERROR && end->triple_fault);

        if (end->panicked && (!end->ended || by_guest || end->exit_code == EXIT_GENERIC_ERROR))
                return FC_REASON_GUEST_PANIC;
        if (!end->ended)
                return FC_REASON_TIMEOUT;
        return by_guest ? FC_REASON_GUEST_REBOOT : FC_REASON_VMM_EXIT;
}

bool fc_boot_may_retry(enum fc_reason reason, int exit_code)
{
        switch (reason) {
        case FC_REASON_TIMEOUT:
        case FC_REASON_GUEST_PANIC:
        case FC_REASON_GUEST_REBOOT:
                return true;
        case FC_REASON_VMM_EXIT:
                return exit_code != EXIT_GENERIC_ERROR && exit_code != EXIT_BAD_CONFIGURATION &&
                       exit_code != EXIT_BAD_ARGUMENTS;
        case FC_REASON_NONE:
        case FC_REASON_ERROR:
        case FC_REASON_PROTOCOL:
        case FC_REASON_GUEST:
        case FC_REASON_COUNT:
                break;
        }
        return false;
}

/* ---- error messages ---- */

static void examine_vmm(struct fc_vm *vm, struct fc_vmm_exit *ret)
{
        char text[8];

        fc_vm_read_output(vm);
        ret->ended = fc_vm_exit_text(vm, text, sizeof(text)) != NULL;
        ret->exit_code = fc_vm_exit_code(vm);
        ret->panicked = fc_tail_panic(&vm->console, text, sizeof(text));
        ret->triple_fault = fc_tail_triple_fault(&vm->log);
}

/*
 * Formats "; log: ...; console: ...", without a part that is empty. After a panic, only the lines
 * of the panic. The log of a VMM that exited with 0 holds no reason. If the console is empty, the
 * log may take its space.
 */
static void format_output(struct fc_vm *vm, const struct fc_vmm_exit *end, char *ret, size_t size)
{
        char console[CONSOLE_MAX], log[CONSOLE_MAX] = "";

        if (fc_boot_reason(end) == FC_REASON_GUEST_PANIC) {
                fc_tail_panic(&vm->console, console, sizeof(console));
        } else {
                fc_tail_lines(&vm->console, console, CONSOLE_MAX);
                if (!end->ended || end->exit_code != EXIT_OK)
                        fc_tail_reason(&vm->log, log, *console ? LOG_MAX : CONSOLE_MAX);
                if (*log)
                        fc_tail_lines(&vm->console, console, CONSOLE_MAX - LOG_MAX / 2);
        }
        snprintf(ret, size, "%s%s%s%s", *log ? "; log: " : "", log, *console ? "; console: " : "",
                 console);
}

int fc_err_vmm_exited(struct fc_vm *vm, const char *what, struct fc_vmm_exit *ret, struct err *err)
{
        struct pollfd exited = {.fd = vm->proc.pidfd, .events = POLLIN};
        char how[128], words[CONSOLE_MAX + LOG_MAX + 32];
        struct fc_vmm_exit end;
        const char *panic = "";

        /* A dying process closes its connections shortly before its exit can be observed. */
        poll(&exited, 1, EXIT_WAIT_MS);
        examine_vmm(vm, &end);
        format_output(vm, &end, words, sizeof(words));
        if (!fc_vm_exit_text(vm, how, sizeof(how)))
                snprintf(how, sizeof(how), "still runs");
        if (fc_boot_reason(&end) == FC_REASON_GUEST_PANIC)
                panic = "guest panic: ";
        if (ret)
                *ret = end;
        return err_set(err, ECONNRESET, "%s%s: the VMM %.*s %s%s", panic, what, VMM_NAME_MAX,
                       vm->spec->vmm, how, words);
}

static int err_timeout(struct boot *b, struct err *err)
{
        bool last = clock_ns() >= b->deadline_ns;
        unsigned ms = last ? b->timeout_ms : b->timeout_ms * FC_BOOT_FIRST_SHARE / 100;
        char words[CONSOLE_MAX + LOG_MAX + 32];

        examine_vmm(b->vm, &b->end);
        b->reason = fc_boot_reason(&b->end);
        format_output(b->vm, &b->end, words, sizeof(words));
        return err_set(err, ETIMEDOUT, "%smicroVM was not ready within %u ms%s%s",
                       b->reason == FC_REASON_GUEST_PANIC ? "guest panic: " : "", ms,
                       b->attempt > 1 ? " (2 attempts)" : "", words);
}

/* ---- one attempt ---- */

/* Records the time of a boot and where it went. */
static void observe_boot(const struct fc_vm *vm, uint64_t boot_ns, const struct wire_hello *hello)
{
        struct fc_metrics *m = vm->spec->metrics;
        struct fc_boot_times times = {.spawned_ns = vm->spawned_ns - vm->start_ns,
                                      .ready_ns = boot_ns};
        uint64_t took_ns[FC_STAGE_COUNT];
        int64_t wall_ms;

        prom_histogram_observe(m->boot, ns_to_s(boot_ns));
        if (fc_flush_first_ms(vm->dir_fd, &wall_ms) == 0)
                times.running_ago_ms = clock_wall_ms() - wall_ms;
        else
                times.running_ago_ms = -1;
        fc_stages_split(&times, hello, took_ns);
        for (int i = FC_STAGE_SPAWN; i < FC_STAGE_COUNT; i++) {
                if (took_ns[i] != FC_STAGE_ABSENT)
                        prom_histogram_observe(m->stage[i], ns_to_s(took_ns[i]));
        }
}

/* Receives HELLO. 0: the agent is ready; -EAGAIN: incomplete. */
static int receive_hello(struct boot *b, struct err *err)
{
        struct wire_hello hello;
        int r = session_read_hello(b->session, b->vm->conn_fd, &hello, err);

        if (r == -EAGAIN)
                return r;
        if (r == -ECONNRESET) {
                r = fc_err_vmm_exited(b->vm, "the guest agent hung up at boot", &b->end, err);
                /* A VMM that still runs here has not timed out, as fc_boot_reason() would have
                 * it. */
                b->reason = b->end.ended ? fc_boot_reason(&b->end) : FC_REASON_VMM_EXIT;
                return r;
        }
        b->reason = FC_REASON_PROTOCOL;
        if (r < 0)
                return r;
        if (hello.error) {
                b->reason = FC_REASON_GUEST;
                r = err_set(err, EIO, "the guest cannot run: %s (image %s)", hello.error,
                            b->vm->spec->rootfs);
        } else {
                b->boot_ns = clock_ns() - b->vm->start_ns;
                observe_boot(b->vm, b->boot_ns, &hello);
        }
        wire_hello_release(&hello);
        return r;
}

/* The deadline of this attempt. Once the agent has connected, it is that of the whole boot. */
static uint64_t attempt_deadline_ns(const struct boot *b)
{
        if (b->attempt > 1 || b->vm->conn_fd >= 0)
                return b->deadline_ns;
        return b->vm->start_ns + b->timeout_ms * NS_PER_MS * FC_BOOT_FIRST_SHARE / 100;
}

/* Waits until the agent has connected and sent HELLO. */
static int await_agent(struct boot *b, struct err *err)
{
        for (;;) {
                struct fc_event e;
                int r = fc_vm_await(b->vm, attempt_deadline_ns(b), POLLIN, -1, &e, err);

                b->reason = FC_REASON_ERROR;
                if (r < 0)
                        return r;
                if (e.stopped)
                        return err_set(err, ECANCELED, "killed");
                if (e.agent) {
                        b->stage = FC_STAGE_AGENT;
                        if ((r = fc_vm_accept(b->vm, err)) < 0)
                                return r;
                        continue;
                }
                if (e.conn && (r = receive_hello(b, err)) != -EAGAIN)
                        return r;
                if (e.timed_out)
                        return err_timeout(b, err);
                if (e.exited && !e.conn) {
                        r = fc_err_vmm_exited(b->vm, "microVM did not boot", &b->end, err);
                        b->reason = fc_boot_reason(&b->end);
                        return r;
                }
        }
}

static bool is_killed(const struct boot *b)
{
        return backend_run_is_killed(b->run);
}

static int boot_once(struct boot *b, struct err *err)
{
        int r;

        b->stage = FC_STAGE_PREPARE;
        b->reason = FC_REASON_ERROR;
        b->end = (struct fc_vmm_exit){.exit_code = -1};
        if (is_killed(b))
                return err_set(err, ECANCELED, "killed");
        if ((r = fc_vm_prepare(b->vm, &b->stage, err)) < 0)
                return r;
        if (is_killed(b)) /* making the network can take long */
                return err_set(err, ECANCELED, "killed");
        b->stage = FC_STAGE_SPAWN;
        if ((r = fc_vm_start(b->vm, err)) < 0)
                return r;
        b->stage = FC_STAGE_VMM;
        if (!b->deadline_ns)
                b->deadline_ns = b->vm->start_ns + b->timeout_ms * NS_PER_MS;
        return await_agent(b, err);
}

int fc_boot(struct fc_vm *vm, struct session *session, unsigned timeout_ms,
            const struct backend_run *run, uint64_t *ret_boot_ns, struct err *err)
{
        struct boot b = {.vm = vm, .session = session, .run = run, .timeout_ms = timeout_ms};

        for (b.attempt = 1;; b.attempt++) {
                int r = boot_once(&b, err);

                if (r == 0)
                        *ret_boot_ns = b.boot_ns;
                if (r == 0 || is_killed(&b))
                        return r;
                fc_metrics_count_boot_failure(vm->spec->metrics, b.stage, b.reason);
                if (b.attempt == FC_BOOT_ATTEMPTS || clock_ns() >= b.deadline_ns ||
                    !fc_boot_may_retry(b.reason, b.end.exit_code))
                        return r;
                log_warn("workload %s: %s; retrying", vm->spec->id, err->msg);
                fc_vm_cleanup(vm, false);
                session_release(session);
        }
}
