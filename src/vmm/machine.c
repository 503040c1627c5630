/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "vmm/logger.h"
#include "vmm/qemu.h"
#include "vmm/signals.h"
#include "vmm/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads QEMU's standard error: logs whole lines and keeps the last one. */
static void read_errors(struct machine *m)
{
        int fd = m->qemu_errors.fd;
        char *end;
        ssize_t n = -1;

        while (fd >= 0 && buf_reserve(&m->errors, 512) == 0 &&
               (n = read(fd, m->errors.data + m->errors.len, 512)) > 0) {
                buf_commit(&m->errors, (size_t)n);
                while ((end = memchr(m->errors.data, '\n', m->errors.len)) != NULL) {
                        *end = '\0';
                        if (m->errors.data[0])
                                snprintf(m->last_error, sizeof(m->last_error), "%s",
                                         m->errors.data);
                        logger_warn("QEMU: %s", m->errors.data);
                        buf_consume(&m->errors, (size_t)(end - m->errors.data) + 1);
                }
        }
        if (m->errors.len + 512 > MACHINE_ERRORS_MAX)
                buf_consume(&m->errors, m->errors.len); /* a line that is too long */
        if (n == 0) {
                loop_del(&m->loop, &m->qemu_errors);
                close(fd);
        }
}

static void errors_ready(struct loop_source *src, uint32_t events)
{
        (void)events;
        read_errors(src->owner);
}

static void vhost_user_ready(struct loop_source *src, uint32_t events)
{
        struct machine *m = src->owner;
        struct err err = ERR_INIT;
        int fd = src->fd;
        int r;

        (void)events;
        while ((r = vu_receive(&m->vu, fd, &err)) > 0)
                ;
        if (r == 0)
                return;
        if (r != -ECONNRESET)
                logger_error("vsock: device disabled: %s", err.msg);
        loop_del(&m->loop, src);
        close(fd);
}

static void release_vsock(struct machine *m)
{
        if (!m->has_vsock)
                return;
        vsock_release(&m->vsock);
        vu_release(&m->vu);
        m->has_vsock = false;
}

/* The socket listens before the guest starts, so that a bad path is an error of this request and
 * clients can already connect. */
static int apply_vsock(void *arg, const struct vm_vsock *v, struct err *err)
{
        struct machine *m = arg;

        release_vsock(m);
        vu_init(&m->vu, (uint64_t)v->guest_cid);
        if (vsock_init(&m->vsock, &m->loop, &m->vu, &m->metrics, (uint64_t)v->guest_cid,
                       v->uds_path, err) < 0) {
                vu_release(&m->vu);
                return -err->code;
        }
        m->has_vsock = true;
        return 0;
}

/* Closes every connection to a QEMU that has ended. */
static void forget_qemu(struct machine *m)
{
        int fd = m->vhost_user_src.fd;

        qmp_release(&m->qmp);
        loop_del(&m->loop, &m->vhost_user_src);
        if (fd >= 0)
                close(fd);
        fd = m->qemu_errors.fd;
        loop_del(&m->loop, &m->qemu_errors);
        if (fd >= 0)
                close(fd);
        loop_del(&m->loop, &m->qemu_exit);
        buf_release(&m->errors);
        m->loop.idle = NULL;
        release_vsock(m);
}

/* After a failed start the API's client may try again, so the vsock socket listens again. */
static void listen_again(struct machine *m)
{
        struct err err = ERR_INIT;

        if (m->cfg.has_vsock && apply_vsock(m, &m->cfg.vsock, &err) < 0)
                logger_error("vsock: %s", err.msg);
}

/* Sets the reason why the microVM could not be started. */
static void set_start_error(struct machine *m, int status, struct err *err)
{
        char how[64];

        if (m->last_error[0])
                err_set(err, EIO, "QEMU failed to start: %s", m->last_error);
        else
                err_set(err, EIO, "QEMU failed to start: it %s",
                        proc_status_text(status, how, sizeof(how)));
}

static void qemu_ended(struct loop_source *src, uint32_t events)
{
        struct machine *m = src->owner;
        bool started = m->api.state != VM_NOT_STARTED;
        struct err err = ERR_INIT;
        char how[64];
        int status = 0;

        (void)events;
        read_errors(m);
        loop_del(&m->loop, &m->qemu_exit);
        proc_reap(&m->qemu, &status, &err);
        proc_status_text(status, how, sizeof(how));
        if (!started) {
                set_start_error(m, status, &err);
                forget_qemu(m);
                logger_error("%s", err.msg);
                if (m->api.busy) {
                        listen_again(m);
                        api_complete(&m->api, err.msg);
                        return; /* the API's client may correct the configuration and try again */
                }
                snprintf(m->last_error, sizeof(m->last_error), "%.255s", err.msg);
                m->exit_code = VMM_EXIT_GENERIC;
        } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                logger_info("The guest has ended the microVM.");
                m->last_error[0] = '\0';
        } else {
                if (!m->last_error[0])
                        snprintf(m->last_error, sizeof(m->last_error), "QEMU %s", how);
                logger_error("QEMU %s: %s", how, m->last_error);
                m->exit_code = VMM_EXIT_GENERIC;
        }
        loop_stop(&m->loop);
}

static int start_api(struct machine *m, struct err *err)
{
        size_t body_max = m->args->max_payload ? m->args->max_payload : API_BODY_MAX;

        return m->args->no_api ? 0 : http_start(&m->http, &m->loop, &m->api, body_max, err);
}

static void end_with(struct machine *m, int exit_code, const char *why)
{
        snprintf(m->last_error, sizeof(m->last_error), "%.255s", why);
        m->exit_code = exit_code;
        loop_stop(&m->loop);
}

static void qemu_is_up(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;
        struct err err = ERR_INIT;

        (void)result;
        if (error)
                return; /* qemu_ended() reports it */
        m->api.state = VM_RUNNING;
        if (m->args->config_file && start_api(m, &err) < 0) {
                end_with(m, VMM_EXIT_GENERIC, err.msg);
                return;
        }
        logger_info("Successfully started the microVM.");
        report_start(&m->report);
        api_complete(&m->api, NULL);
}

/* Both ends of our connections to QEMU; ours are -1 once the loop's sources own them. */
struct links {
        int qmp[2], vhost_user[2], errors[2];
};

#define LINKS_INIT ((struct links){{-1, -1}, {-1, -1}, {-1, -1}})

static void links_release(struct links *l)
{
        for (int i = 0; i < 2; i++) {
                close_fd(&l->qmp[i]);
                close_fd(&l->vhost_user[i]);
                close_fd(&l->errors[i]);
        }
}

static int make_links(struct links *l, bool vsock, struct err *err)
{
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->qmp) < 0 ||
            (vsock && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->vhost_user) < 0) ||
            pipe2(l->errors, O_CLOEXEC) < 0)
                return err_errno(err, "cannot connect to QEMU");
        fcntl(l->errors[0], F_SETFL, O_NONBLOCK);
        return 0;
}

/* Builds QEMU's command line and starts it. */
static int spawn_qemu(struct machine *m, const struct links *l, struct err *err)
{
        struct qemu_fds fds = {l->qmp[1], l->vhost_user[1], l->errors[1]};
        const char *program = qemu_find();
        char cmdline[VM_CMDLINE_MAX];
        struct kernel_info kernel = {0};
        struct qemu_args argv = {0};
        enum qemu_accel accel = QEMU_TCG;
        int r;

        if (!program)
                return err_set(err, ENOENT,
                               "qemu-system-x86_64 not found: apt-get install "
                               "qemu-system-x86");
        r = qemu_choose_accel(&accel, err);
        if (r == 0)
                r = kernel_inspect(m->cfg.boot.kernel_image_path, &kernel, err);
        if (r == 0)
                r = kernel_cmdline(cmdline, sizeof(cmdline), &m->cfg, &kernel,
                                   accel == QEMU_TCG ? kernel_tsc_khz(&m->tsc) : 0, err);
        if (r < 0)
                return r;
        m->has_acpi = !kernel.cmdline_devices;
        r = qemu_build_args(&argv, program, &m->cfg, &kernel, cmdline, accel, !m->args->no_seccomp,
                            &fds, err);
        if (r == 0)
                r = qemu_spawn(&argv, &fds, &m->qemu, err);
        qemu_args_release(&argv);
        return r;
}

static void process_vsock(void *arg)
{
        vsock_process(arg);
}

/* Adds our ends of the links to the loop. */
static int adopt_links(struct machine *m, struct links *l, struct err *err)
{
        int r = loop_add(&m->loop, &m->qemu_exit, m->qemu.pidfd, EPOLLIN, err);

        if (r == 0)
                r = loop_add(&m->loop, &m->qemu_errors, l->errors[0], EPOLLIN, err);
        if (r == 0)
                l->errors[0] = -1;
        if (r == 0 && m->has_vsock) {
                r = loop_add(&m->loop, &m->vhost_user_src, l->vhost_user[0], EPOLLIN, err);
                if (r == 0)
                        l->vhost_user[0] = -1;
                m->loop.idle = process_vsock;
                m->loop.idle_arg = &m->vsock;
        }
        if (r == 0)
                r = qmp_init(&m->qmp, &m->loop, steal_fd(&l->qmp[0]), qemu_is_up, m, err);
        return r;
}

/* PUT /vsock has already created the device; for a configuration file it is created now. */
static int start_vsock(struct machine *m, struct err *err)
{
        if (!m->cfg.has_vsock || m->has_vsock)
                return 0;
        return apply_vsock(m, &m->cfg.vsock, err) < 0 ? err_wrap(err, "vsock") : 0;
}

static void kill_qemu(struct machine *m)
{
        if (m->qemu.pid <= 0)
                return;
        proc_kill(&m->qemu);
        loop_del(&m->loop, &m->qemu_exit);
        proc_reap(&m->qemu, NULL, NULL);
}

/* 1: QEMU is starting; qemu_is_up() or qemu_ended() follows. */
static int start(void *arg, struct err *err)
{
        _cleanup_(links_release) struct links links = LINKS_INIT;
        struct machine *m = arg;
        int r = vm_config_check(&m->cfg, err);

        m->last_error[0] = '\0';
        m->errors = BUF_INIT(MACHINE_ERRORS_MAX);
        report_begin(&m->report);
        if (r == 0)
                r = start_vsock(m, err);
        if (r == 0)
                r = make_links(&links, m->has_vsock, err);
        if (r == 0)
                r = spawn_qemu(m, &links, err);
        if (r == 0)
                r = adopt_links(m, &links, err);
        if (r == 0)
                return 1;
        kill_qemu(m);
        forget_qemu(m);
        if (!m->args->config_file)
                listen_again(m);
        return r;
}

/* ---- operations of the API (api.h) ---- */

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

static void flushed(void *arg, const char *error)
{
        struct machine *m = arg;

        api_complete(&m->api, error);
}

static int op_flush(void *arg, struct err *err)
{
        struct machine *m = arg;

        (void)err;
        return report_flush(&m->report);
}

static void powered_down(void *arg, const char *error, const json_t *result)
{
        struct machine *m = arg;

        (void)result;
        api_complete(&m->api, error);
}

/* The machine has no keyboard. A guest with ACPI can be asked to shut down by the power button. */
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

static int op_logger(void *arg, const struct vm_logger *logger, struct err *err)
{
        (void)arg;
        return startup_apply_logger(logger, err);
}

static int op_metrics(void *arg, const struct vm_metrics_section *section, struct err *err)
{
        struct machine *m = arg;

        return report_open(&m->report, section, m->args->id, err);
}

static const struct api_ops ops = {
        .start = start,
        .pause = op_pause,
        .resume = op_resume,
        .flush_metrics = op_flush,
        .ctrl_alt_del = op_ctrl_alt_del,
        .apply_logger = op_logger,
        .apply_metrics = op_metrics,
        .apply_vsock = apply_vsock,
};

/* ---- the program ---- */

static void signal_came(struct loop_source *src, uint32_t events)
{
        struct machine *m = src->owner;
        int signal = 0;
        int code = signals_take(src->fd, &m->metrics, &signal);
        char why[80];

        (void)events;
        if (!code)
                return;
        snprintf(why, sizeof(why), "Shutting down VM after intercepting signal %d.", signal);
        logger_error("%s", why);
        end_with(m, code, why);
}

static int watch_signals(struct machine *m, struct err *err)
{
        int fd = signals_open(err);

        if (fd < 0)
                return fd;
        if (loop_add(&m->loop, &m->signals, fd, EPOLLIN, err) < 0) {
                close(fd);
                return -err->code;
        }
        return 0;
}

/* The vsock device may need a descriptor for each of its streams. */
static void raise_descriptor_limit(void)
{
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= VSOCK_CONN_MAX * 2)
                return;
        l.rlim_cur = l.rlim_max < VSOCK_CONN_MAX * 2 ? l.rlim_max : VSOCK_CONN_MAX * 2;
        setrlimit(RLIMIT_NOFILE, &l);
}

static void init_fields(struct machine *m, const struct vmm_args *args)
{
        *m = (struct machine){.args = args,
                              .loop = {.epoll_fd = -1},
                              .qemu = PROC_INIT,
                              .http = {.listen_fd = -1, .src = {.fd = -1}, .incoming = {.fd = -1}}};
        m->signals = (struct loop_source){.fd = -1, .ready = signal_came, .owner = m};
        m->qemu_exit = (struct loop_source){.fd = -1, .ready = qemu_ended, .owner = m};
        m->qemu_errors = (struct loop_source){.fd = -1, .ready = errors_ready, .owner = m};
        m->vhost_user_src = (struct loop_source){.fd = -1, .ready = vhost_user_ready, .owner = m};
        m->qmp.src.fd = -1;
        m->api = (struct api){
                .cfg = &m->cfg, .metrics = &m->metrics, .id = args->id, .ops = &ops, .arg = m};
        vm_config_init(&m->cfg);
        report_init(&m->report, &m->loop, &m->qmp, &m->cfg, &m->metrics, flushed, m);
}

int machine_init(struct machine *m, const struct vmm_args *args, struct err *err)
{
        int r;

        init_fields(m, args);
        if (startup_log(args, err) < 0)
                return VMM_EXIT_BAD_CONFIGURATION;
        kernel_tsc_mark(&m->tsc);
        raise_descriptor_limit();
        r = loop_init(&m->loop, err);
        if (r == 0)
                r = watch_signals(m, err);
        if (r == 0)
                r = startup_apply(args, &m->cfg, &m->report, err);
        startup_take_time(args, &m->metrics);
        return r < 0 ? VMM_EXIT_GENERIC : VMM_EXIT_OK;
}

int machine_run(struct machine *m, struct err *err)
{
        const struct vmm_args *a = m->args;

        /* Bind first, so that a socket in use fails before a guest runs. With a configuration file,
         * requests wait in the socket's backlog until the guest has been started. */
        if (!a->no_api && http_listen(&m->http, a->api_sock, err) < 0)
                return VMM_EXIT_GENERIC;
        if ((a->config_file ? start(m, err) : start_api(m, err)) < 0)
                return VMM_EXIT_GENERIC;
        if (loop_run(&m->loop, err) < 0)
                return VMM_EXIT_GENERIC;
        report_write(&m->report);
        if (m->exit_code)
                err_set(err, EIO, "%s", m->last_error);
        return m->exit_code;
}

void machine_release(struct machine *m)
{
        int fd = m->signals.fd;

        kill_qemu(m);
        forget_qemu(m);
        http_release(&m->http);
        if (fd >= 0) {
                loop_del(&m->loop, &m->signals);
                close(fd);
        }
        report_release(&m->report);
        vm_config_release(&m->cfg);
        loop_release(&m->loop);
}
