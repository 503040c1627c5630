/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/vm.h"

#include "backend/firecracker/config.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "wire/frame.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum {
        CONFIG_MAX = 64 * 1024,
        DIR_ATTEMPTS = 8,        /* to make a directory while reclaimers remove it */
        READ_MAX = 64 * 1024,    /* bytes of output read before other events are checked */
        FLUSH_FIRST_MS = 5,      /* wait for counters before the network is torn down meanwhile */
        CONSOLE_DRAIN_MS = 1000, /* wait for end of file on the console after the VMM's exit */
};

int fc_vm_init(struct fc_vm *vm, const struct fc_vm_spec *spec, struct err *err)
{
        *vm = (struct fc_vm){
                .spec = spec,
                .dir_fd = -1,
                .listen_fd = -1,
                .conn_fd = -1,
                .console_fd = -1,
                .log_fd = -1,
                .proc = PROC_INIT,
                .flush = FC_FLUSH_INIT,
                .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        };
        if (vm->stop_fd < 0)
                return err_errno(err, "eventfd");
        pthread_mutex_init(&vm->proc_lock, NULL);
        return 0;
}

/* Makes a directory and locks it. -EAGAIN: a reclaimer took it for an orphan in between. */
static int make_locked(const char *path, int *ret_fd, struct err *err)
{
        _cleanup_close_ int fd = -1;

        if (mkdir(path, 0700) < 0)
                return errno == EEXIST ? -EAGAIN : err_errno(err, "cannot create %s", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return -EAGAIN;
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
                int r;

                if (fd >= 0 && errno == EWOULDBLOCK)
                        return -EAGAIN; /* a reclaimer holds the lock and removes it */
                r = err_errno(err, "cannot lock %s", path);
                rmdir(path);
                return r;
        }
        *ret_fd = steal_fd(&fd);
        return 0;
}

/*
 * Makes the VM's directory and locks it; the lock shows that its owner is alive. The directory gets
 * its final name only once it is locked, so no reclaimer ever mistakes that name for an orphan's.
 * Before that, a reclaimer may remove it; then another attempt is made. Neither side waits for the
 * other.
 */
static int make_dir(struct fc_vm *vm, struct err *err)
{
        char path[PATH_MAX], made[PATH_MAX], name[64];
        _cleanup_close_ int fd = -1;
        int r = fs_join(path, sizeof(path), vm->spec->vms_dir, vm->spec->id, err);

        for (int i = 0; r == 0 && i < DIR_ATTEMPTS; i++) {
                snprintf(name, sizeof(name), FC_NEW_PREFIX "%s-%d", vm->spec->id, i);
                if ((r = fs_join(made, sizeof(made), vm->spec->vms_dir, name, err)) < 0)
                        return r;
                r = make_locked(made, &fd, err);
                if (r == 0 && rename(made, path) == 0) {
                        strcpy(vm->dir, path);
                        vm->dir_fd = steal_fd(&fd);
                        return 0;
                }
                if (r == 0 && errno != ENOENT) {
                        r = err_errno(err, "cannot create %s", path);
                        rmdir(made);
                        return r;
                }
                close_fd(&fd);
                r = r == -EAGAIN ? 0 : r;
        }
        return r < 0 ? r
                     : err_set(err, EBUSY, "cannot create %s: other processes keep removing it",
                               path);
}

/* The VMM forwards the guest's connections to CID 2, port WIRE_PORT, to this socket. */
#define LISTENER "v.sock_5000"
_Static_assert(WIRE_PORT == 5000, "as in the name");

#define LOG_NAME "vmm.log"

static int make_listener(struct fc_vm *vm, struct err *err)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = -1;
        int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" LISTENER, vm->dir);

        if (n > FC_SUN_PATH_MAX)
                return err_set(err, ENAMETOOLONG, "state directory too long for a Unix socket: %s",
                               vm->dir);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
                return err_errno(err, "cannot listen at %s", addr.sun_path);
        vm->listen_fd = steal_fd(&fd);
        return 0;
}

/*
 * Makes the FIFO for the VMM's log. A regular file could grow without bound, since a VMM logs what
 * its guest does wrong. Opening both ends here means that no end of file occurs when the VMM closes
 * it.
 */
static int make_log(struct fc_vm *vm, struct err *err)
{
        char path[PATH_MAX];
        int r = fs_join(path, sizeof(path), vm->dir, LOG_NAME, err);

        if (r < 0)
                return r;
        if (mkfifo(path, 0600) < 0)
                return err_errno(err, "cannot create %s", path);
        vm->log_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        return vm->log_fd < 0 ? err_errno(err, "cannot open %s", path) : 0;
}

/* Writes the files that the VMM reads or appends to. */
static int write_files(struct fc_vm *vm, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(CONFIG_MAX);
        char path[PATH_MAX];
        int r;

        if ((r = fc_config_text(vm->spec, vm->dir, vm->has_lease ? &vm->lease : NULL, &text, err)) <
                    0 ||
            (r = fs_join(path, sizeof(path), vm->dir, "config.json", err)) < 0)
                return r;
        if ((r = fs_create(path, text.data, text.len, 0600, err)) < 0)
                return r;
        /* Older Firecracker versions require the metrics file to exist. */
        if ((r = fs_join(path, sizeof(path), vm->dir, "metrics", err)) < 0)
                return r;
        return fs_create(path, "", 0, 0600, err);
}

int fc_vm_prepare(struct fc_vm *vm, enum fc_stage *ret_stage, struct err *err)
{
        uint64_t start = clock_ns(), network_ns = 0;
        int r;

        *ret_stage = FC_STAGE_PREPARE;
        vm->console.len = vm->log.len = 0; /* forget the output of an earlier attempt */
        if ((r = make_dir(vm, err)) < 0 || (r = make_listener(vm, err)) < 0 ||
            (r = make_log(vm, err)) < 0)
                return r;
        if (vm->spec->net) {
                uint64_t from = clock_ns();

                *ret_stage = FC_STAGE_NETWORK;
                r = net_attach(vm->spec->net, &vm->lease, err);
                if (r < 0)
                        return r;
                vm->has_lease = true;
                network_ns = clock_ns() - from;
                prom_histogram_observe(vm->spec->metrics->stage[FC_STAGE_NETWORK],
                                       ns_to_s(network_ns));
        }
        *ret_stage = FC_STAGE_PREPARE;
        if ((r = write_files(vm, err)) < 0)
                return r;
        prom_histogram_observe(vm->spec->metrics->stage[FC_STAGE_PREPARE],
                               ns_to_s(clock_ns() - start - network_ns));
        return 0;
}

/* Records the VMM's pid and start time, for the process that reclaims this directory after a
 * crash. */
static void note_vmm(struct fc_vm *vm)
{
        char path[PATH_MAX], text[64];
        struct err err = ERR_INIT;
        int n = snprintf(text, sizeof(text), "%d %llu\n", (int)vm->proc.pid,
                         (unsigned long long)vm->proc.start_time);

        if (fs_join(path, sizeof(path), vm->dir, "vmm", &err) < 0 ||
            fs_create(path, text, (size_t)n, 0600, &err) < 0)
                log_warn("workload %s: %s", vm->spec->id, err.msg);
}

int fc_vm_start(struct fc_vm *vm, struct err *err)
{
        char config[PATH_MAX], api[PATH_MAX], log[PATH_MAX], start_us[32];
        const char *argv[] = {vm->spec->vmm, "--id",       vm->spec->id, "--config-file",
                              config,        "--api-sock", api,          "--log-path",
                              log,           "--level",    "Warn",       "--start-time-us",
                              start_us,      NULL};
        _cleanup_close_ int console_in = -1;
        struct proc_spec spec = {
                .argv = argv, .envp = vm->spec->env, .dir = vm->dir, .stdin_fd = -1};
        struct proc proc;
        int pipe_fds[2], r;
        uint64_t start;

        assert(!vm->start_ns);
        if ((r = fs_join(config, sizeof(config), vm->dir, "config.json", err)) < 0 ||
            (r = fs_join(api, sizeof(api), vm->dir, "api.sock", err)) < 0 ||
            (r = fs_join(log, sizeof(log), vm->dir, LOG_NAME, err)) < 0)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return err_errno(err, "pipe");
        vm->console_fd = pipe_fds[0];
        console_in = pipe_fds[1];
        fcntl(vm->console_fd, F_SETFL, O_NONBLOCK);
        /* Nonblocking on both ends: a guest that floods its console must block neither us nor its
         * VMM. */
        fcntl(console_in, F_SETFL, O_NONBLOCK);
        spec.stdout_fd = console_in;
        spec.stderr_fd = vm->log_fd;

        start = clock_ns();
        snprintf(start_us, sizeof(start_us), "%llu", (unsigned long long)(start / NS_PER_US));
        if ((r = proc_spawn(&spec, &proc, err)) < 0)
                return r;
        prom_gauge_inc(vm->spec->metrics->active);
        vm->start_ns = start;
        vm->spawned_ns = clock_ns();
        pthread_mutex_lock(&vm->proc_lock);
        vm->proc = proc;
        /* fc_vm_stop() sets `stopped` before it takes the lock. If it came first, it found no
         * process to kill, and its flag is seen here; if it comes later, it finds the process. */
        if (atomic_load(&vm->stopped))
                proc_kill(&vm->proc);
        pthread_mutex_unlock(&vm->proc_lock);
        note_vmm(vm);
        return 0;
}

/*
 * Reads the available output, up to READ_MAX, so that a guest that floods the descriptor cannot
 * keep this thread here. False at end of file; on the console that means that every writer has
 * exited.
 */
static bool read_output(int fd, struct fc_tail *tail)
{
        char chunk[4096];

        for (size_t taken = 0; taken < READ_MAX; taken += sizeof(chunk)) {
                ssize_t n = read(fd, chunk, sizeof(chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return true;
                if (n <= 0)
                        return false;
                fc_tail_add(tail, chunk, (size_t)n);
                if (n < (ssize_t)sizeof(chunk))
                        return true;
        }
        return true;
}

void fc_vm_read_output(struct fc_vm *vm)
{
        if (vm->console_fd >= 0)
                read_output(vm->console_fd, &vm->console);
        if (vm->log_fd >= 0)
                read_output(vm->log_fd, &vm->log);
}

enum { AT_STOP, AT_CONN, AT_LISTEN, AT_CONSOLE, AT_LOG, AT_PIDFD, AT_EXTRA, AT_COUNT };

int fc_vm_await(struct fc_vm *vm, uint64_t deadline_ns, short conn_events, int extra_fd,
                struct fc_event *ret, struct err *err)
{
        struct pollfd p[AT_COUNT] = {
                [AT_STOP] = {.fd = vm->stop_fd, .events = POLLIN},
                [AT_CONN] = {.fd = vm->conn_fd, .events = conn_events},
                [AT_LISTEN] = {.fd = vm->listen_fd, .events = POLLIN},
                [AT_CONSOLE] = {.fd = vm->console_fd, .events = POLLIN},
                [AT_LOG] = {.fd = vm->log_fd, .events = POLLIN},
                [AT_PIDFD] = {.fd = vm->proc.pidfd, .events = POLLIN},
                [AT_EXTRA] = {.fd = extra_fd, .events = POLLIN},
        };

        for (;;) {
                struct fc_event e = {0};
                int n = poll(p, AT_COUNT, clock_poll_ms(deadline_ns));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "poll");
                if (p[AT_LOG].revents)
                        read_output(vm->log_fd, &vm->log);
                if (p[AT_CONSOLE].revents && !read_output(vm->console_fd, &vm->console)) {
                        close_fd(&vm->console_fd);
                        p[AT_CONSOLE].fd = -1;
                }
                e.stopped = p[AT_STOP].revents != 0;
                e.conn = p[AT_CONN].revents;
                e.agent = p[AT_LISTEN].revents != 0;
                e.exited = p[AT_PIDFD].revents != 0;
                e.extra = p[AT_EXTRA].revents != 0;
                e.timed_out = deadline_ns && clock_ns() >= deadline_ns;
                if (e.stopped || e.conn || e.agent || e.exited || e.extra || e.timed_out) {
                        *ret = e;
                        return 0;
                }
        }
}

int fc_vm_accept(struct fc_vm *vm, struct err *err)
{
        int fd = accept4(vm->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return err_errno(err, "accept from the guest agent");
        vm->conn_fd = fd;
        close_fd(&vm->listen_fd);
        return 0;
}

void fc_vm_stop(struct fc_vm *vm)
{
        uint64_t one = 1, never = 0;

        atomic_compare_exchange_strong(&vm->stop_ns, &never, clock_ns());
        atomic_store(&vm->stopped, true);
        pthread_mutex_lock(&vm->proc_lock);
        proc_kill(&vm->proc);
        pthread_mutex_unlock(&vm->proc_lock);
        if (write(vm->stop_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
                log_error("workload %s: eventfd: %s", vm->spec->id, strerror(errno));
}

/* Reads the VMM's exit status and leaves the VMM to be reaped by proc_reap(). False while it
 * runs. */
static bool peek_exit(struct fc_vm *vm, siginfo_t *ret)
{
        siginfo_t si = {0};

        if (vm->proc.pidfd < 0 ||
            waitid(P_PIDFD, (id_t)vm->proc.pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            si.si_pid == 0)
                return false;
        *ret = si;
        return true;
}

const char *fc_vm_exit_text(struct fc_vm *vm, char *ret, size_t size)
{
        siginfo_t si;

        if (!peek_exit(vm, &si))
                return NULL;
        return proc_status_text(si.si_code == CLD_EXITED ? si.si_status << 8 : si.si_status, ret,
                                size);
}

int fc_vm_exit_code(struct fc_vm *vm)
{
        siginfo_t si;

        return peek_exit(vm, &si) && si.si_code == CLD_EXITED ? si.si_status : -1;
}

/*
 * Waits, until end_ns at most, for the exit of the VMM and for end of file on its console, which
 * comes when every process that the VMM started has exited, even one that this process could not
 * reap. After that, proc_reap_within() has little left to wait for.
 */
static void await_exit(struct fc_vm *vm, const struct proc *proc, uint64_t end_ns)
{
        struct pollfd p[] = {{.fd = proc->pidfd, .events = POLLIN},
                             {.fd = vm->console_fd, .events = POLLIN}};

        while ((p[0].fd >= 0 || p[1].fd >= 0) && clock_ns() < end_ns) {
                if (poll(p, 2, clock_poll_ms(end_ns)) < 0 && errno != EINTR)
                        break;
                if (p[1].revents && !read_output(vm->console_fd, &vm->console))
                        p[1].fd = -1;
                if (p[0].fd >= 0 && p[0].revents) {
                        uint64_t drained = clock_ns() + CONSOLE_DRAIN_MS * NS_PER_MS;

                        p[0].fd = -1;
                        end_ns = drained < end_ns ? drained : end_ns;
                }
        }
        close_fd(&vm->console_fd);
}

/* Kills the VMM and everything it started. True if the VMM had exited by itself before. */
static bool kill_vmm(struct fc_vm *vm)
{
        siginfo_t si;
        bool exited_before = peek_exit(vm, &si);

        pthread_mutex_lock(&vm->proc_lock);
        proc_kill(&vm->proc);
        pthread_mutex_unlock(&vm->proc_lock);
        return exited_before;
}

/* Waits for the processes that kill_vmm() killed and counts how the VMM exited. False if they do
 * not exit in time: then *ret_left has taken over the VMM. */
static bool reap_vmm(struct fc_vm *vm, bool exited_before, struct proc *ret_left)
{
        uint64_t end = clock_ns() + FC_VM_EXIT_WAIT_MS * NS_PER_MS, now;
        struct err err = ERR_INIT;
        struct proc proc;
        int status = 0;

        pthread_mutex_lock(&vm->proc_lock);
        proc = vm->proc;
        vm->proc = PROC_INIT;
        pthread_mutex_unlock(&vm->proc_lock);
        await_exit(vm, &proc, end);
        now = clock_ns();
        if (proc_reap_within(&proc, now < end ? (unsigned)((end - now) / NS_PER_MS) : 0, &status,
                             &err) < 0) {
                log_warn("workload %s: killed, but %s; a separate thread waits for it",
                         vm->spec->id, err.msg);
                *ret_left = proc;
                return false;
        }
        fc_metrics_count_exit(vm->spec->metrics, status,
                              !exited_before || atomic_load(&vm->stopped));
        return true;
}

/* Observes a stage that began at `since`. */
static void observe_stage(struct fc_vm *vm, enum fc_cleanup_stage stage, uint64_t since)
{
        prom_histogram_observe(vm->spec->metrics->cleanup_stage[stage],
                               ns_to_s(clock_ns() - since));
}

static void detach(struct fc_vm *vm, uint64_t since)
{
        struct err err = ERR_INIT;

        if (!vm->has_lease)
                return;
        if (net_detach(vm->spec->net, &vm->lease, &err) < 0)
                log_error("workload %s: %s", vm->spec->id, err.msg);
        vm->has_lease = false;
        observe_stage(vm, FC_CLEANUP_NETWORK, since);
        fc_metrics_count_dropped(vm->spec->metrics, vm->spec->net);
}

/* Makes the VMM write its counters. If it responds quickly, the network is torn down later, while
 * the VMM exits; otherwise the network is torn down while waiting for the response. */
static void flush(struct fc_vm *vm, uint64_t since)
{
        if (fc_vm_exit_code(vm) == 0)
                return; /* it wrote them when it exited */
        fc_flush_ask(&vm->flush, vm->dir, vm->dir_fd);
        if (!fc_flush_await(&vm->flush, vm->stop_fd, FLUSH_FIRST_MS)) {
                detach(vm, since);
                fc_flush_await(&vm->flush, vm->stop_fd, 0);
        }
        close_fd(&vm->flush.fd);
        observe_stage(vm, FC_CLEANUP_FLUSH, since);
}

/*
 * Stops the VMM and tears down the network. The kernel takes time for both (freeing a VM's memory,
 * a grace period for a TAP), so the network is torn down between SIGKILL and reaping. That is safe:
 * a VMM that still has the TAP open is left with a dead descriptor. False: see reap_vmm().
 */
static bool stop_and_detach(struct fc_vm *vm, bool was_ready, uint64_t since,
                            struct fc_remain *left)
{
        bool started = vm->start_ns != 0;
        bool exited_before = false, gone = true;

        if (started && was_ready && !atomic_load(&vm->stopped)) {
                flush(vm, since);
                since = clock_ns();
        }
        if (started)
                exited_before = kill_vmm(vm);
        detach(vm, since);
        if (started) {
                left->killed_by_us = !exited_before || atomic_load(&vm->stopped);
                gone = reap_vmm(vm, exited_before, &left->proc);
                observe_stage(vm, FC_CLEANUP_STOP, since);
        }
        close_fd(&vm->console_fd);
        return gone;
}

/* Copies the end of the VMM's log to our own log, at debug. */
static void log_last_lines(struct fc_vm *vm)
{
        char text[256];

        if (vm->log_fd >= 0)
                read_output(vm->log_fd, &vm->log);
        fc_tail_lines(&vm->log, text, sizeof(text));
        if (*text)
                log_debug("workload %s: the VMM's log ends: %s", vm->spec->id, text);
        close_fd(&vm->log_fd);
}

/* Removes the directory. False if it still exists: then *left has taken it over. */
static bool remove_dir(struct fc_vm *vm, bool gone, struct fc_remain *left)
{
        if (gone && fc_remove_vm_dir(vm->dir_fd, vm->dir, FC_REMAINS_DIR_FILES, NULL) == 0) {
                close_fd(&vm->dir_fd);
                return true;
        }
        snprintf(left->dir, sizeof(left->dir), "%s", vm->dir);
        left->dir_fd = steal_fd(&vm->dir_fd);
        return false;
}

/* Hands over processes that did not exit and a directory that was not removed. If there is no room
 * for them, the next start reclaims them. */
static void hand_over(struct fc_vm *vm, struct fc_remain *left)
{
        snprintf(left->id, sizeof(left->id), "%s", vm->spec->id);
        left->active = left->proc.pidfd >= 0;
        if (fc_remains_take(vm->spec->remains, left))
                return;
        log_error("workload %s: its VM could not be removed; the next start does it", vm->spec->id);
        if (left->active) {
                fc_metrics_count_stuck(vm->spec->metrics);
                prom_gauge_dec(vm->spec->metrics->active);
        }
        close_fd(&left->proc.pidfd);
        close_fd(&left->dir_fd);
}

uint64_t fc_vm_cleanup(struct fc_vm *vm, bool was_ready)
{
        struct fc_metrics *m = vm->spec->metrics;
        bool started = vm->start_ns != 0;
        uint64_t stop_ns = atomic_load(&vm->stop_ns);
        uint64_t begin = stop_ns > vm->start_ns ? stop_ns : clock_ns();
        struct fc_remain left = {.dir_fd = -1, .proc = PROC_INIT};
        bool removed = true, gone;
        uint64_t at, took = 0;

        close_fd(&vm->conn_fd);
        close_fd(&vm->listen_fd);
        gone = stop_and_detach(vm, was_ready, begin, &left);
        at = clock_ns();
        if (started) {
                took = at - begin;
                prom_histogram_observe(m->cleanup, ns_to_s(took));
        }
        log_last_lines(vm);
        if (vm->dir_fd >= 0) {
                if (started)
                        fc_flush_collect(&vm->flush, vm->dir_fd, atomic_load(&vm->stopped), m);
                removed = remove_dir(vm, gone, &left);
                if (started)
                        observe_stage(vm, FC_CLEANUP_FILES, at);
        }
        if (started && gone)
                prom_gauge_dec(m->active);
        if (!gone || !removed)
                hand_over(vm, &left);
        vm->start_ns = 0;
        vm->flush = FC_FLUSH_INIT;
        return took;
}

void fc_vm_release(struct fc_vm *vm)
{
        assert(vm->dir_fd < 0 && vm->proc.pidfd < 0);
        close_fd(&vm->stop_fd);
        pthread_mutex_destroy(&vm->proc_lock);
}
