/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STACK = 16 * 1024 };

static int pidfd_open_pid(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Closes every descriptor above 2 except those in `keep`, which is sorted. */
static void close_all_but(const int *keep, int n)
{
        unsigned from = 3;

        for (int i = 0; i < n; i++) {
                if ((unsigned)keep[i] > from)
                        syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
                from = (unsigned)keep[i] + 1;
        }
        syscall(SYS_close_range, from, UINT_MAX, 0);
}

static void sort_fds(int *fds, int n)
{
        for (int i = 1; i < n; i++) {
                for (int k = i; k > 0 && fds[k - 1] > fds[k]; k--) {
                        int t = fds[k];

                        fds[k] = fds[k - 1];
                        fds[k - 1] = t;
                }
        }
}

/* Puts fd (or /dev/null) at number `at`, without close-on-exec. */
static int place_fd(int fd, int at)
{
        if (fd < 0)
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -1;
        return fd == at ? fcntl(fd, F_SETFD, 0) : dup2(fd, at);
}

/* The kernel's struct sigaction. All zero is the default action. */
struct kernel_sigaction {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
};

/* Uses system calls directly: what libc and sanitizers remember of handlers is in memory that the
 * child shares with its parent. */
int proc_reset_signals(void)
{
        static const struct kernel_sigaction default_action;
        static const uint64_t none;

        for (int i = 1; i < NSIG; i++)
                syscall(SYS_rt_sigaction, i, &default_action, NULL, sizeof(default_action.mask));
        return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

/* The child's arguments. It shares the parent's memory until it runs another program. */
struct child {
        const struct proc_spec *spec;
        pid_t parent;
        int report; /* a pipe for errno */
};

/* The child until exec. It may change no memory of the parent except its own stack, so it makes
 * only system calls. */
static int run_child(void *arg)
{
        const struct child *child = arg;
        const struct proc_spec *spec = child->spec;
        int fds[3] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
        int keep[PROC_KEEP_MAX + 1];
        int report = child->report;
        int n = 0;
        int e;

        if (!spec->keep_group)
                setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != child->parent)
                _exit(127);
        proc_reset_signals();

        /* Descriptors below 3 would be overwritten while the three are put in place, so move them
         * up first. They are that low if this program was started without standard streams. */
        for (int i = 0; i < 3; i++) {
                if (fds[i] >= 0 && fds[i] < 3)
                        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        }
        if (report < 3)
                report = fcntl(report, F_DUPFD_CLOEXEC, 3);
        for (int i = 0; i < 3; i++) {
                if (place_fd(fds[i], i) < 0)
                        goto fail;
        }
        for (int i = 0; i < spec->n_keep; i++) {
                if (fcntl(spec->keep[i], F_SETFD, 0) < 0)
                        goto fail;
                keep[n++] = spec->keep[i];
        }
        keep[n++] = report;
        sort_fds(keep, n);
        close_all_but(keep, n);
        if (spec->dir && chdir(spec->dir) < 0)
                goto fail;
        execve(spec->argv[0], (char *const *)spec->argv,
               spec->envp ? (char *const *)spec->envp : environ);
fail:
        e = errno;
        if (write(report, &e, sizeof(e)) < 0)
                _exit(126);
        _exit(127);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHARE_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHARE_MEMORY 0
#endif
#endif
#ifndef SHARE_MEMORY
#define SHARE_MEMORY 1
#endif

/*
 * A child that shares our memory, while the calling thread waits, takes 30 us however large this
 * process is. fork() copies page tables and causes a page fault for each page in use: 1 ms with 20
 * MB, 4 ms with 200 MB. Sanitized builds use fork(), because sanitizers keep state in the memory
 * that would be shared.
 */
static pid_t start_child(struct child *child)
{
#if SHARE_MEMORY
        _Alignas(16) char stack[CHILD_STACK];

        return clone(run_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, child);
#else
        pid_t pid = fork();

        if (pid == 0)
                run_child(child);
        return pid;
#endif
}

/* Reads state and start time from /proc/PID/stat. The name in it may contain any character, even
 * ')'. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
        char path[64], text[1024];
        _cleanup_close_ int fd = -1;
        unsigned long long start;
        char state;
        char *after;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return -ESRCH;
        text[n] = '\0';
        after = strrchr(text, ')');
        if (!after || sscanf(after + 1,
                             " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                             "%*d %*d %llu",
                             &state, &start) != 2)
                return -ESRCH;
        *ret_state = state;
        *ret_start = start;
        return 0;
}

int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err)
{
        _cleanup_close_ int read_end = -1;
        _cleanup_close_ int write_end = -1;
        struct proc p = {.pidfd = -1, .keep_group = spec->keep_group};
        struct child child = {.spec = spec, .parent = getpid()};
        sigset_t before;
        int pipe_fds[2];
        int child_errno = 0;
        char state;
        ssize_t n;

        assert(spec->argv && spec->argv[0] && spec->n_keep <= PROC_KEEP_MAX);
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return err_errno(err, "cannot start %s: pipe", spec->argv[0]);
        read_end = pipe_fds[0];
        write_end = child.report = pipe_fds[1];

        /* No handler of ours may run in the child, which shares our memory. */
        thread_block_signals(&before);
        p.pid = start_child(&child);
        thread_restore_signals(&before);
        if (p.pid < 0)
                return err_errno(err, "cannot start %s: fork", spec->argv[0]);

        close_fd(&write_end);
        do {
                n = read(read_end, &child_errno, sizeof(child_errno));
        } while (n < 0 && errno == EINTR);
        if (n != 0) {
                waitpid(p.pid, NULL, 0);
                errno = n == sizeof(child_errno) ? child_errno : EIO;
                return err_errno(err, "cannot start %s", spec->argv[0]);
        }
        p.pidfd = pidfd_open_pid(p.pid);
        if (p.pidfd < 0) {
                int r = err_errno(err, "cannot watch %s: pidfd_open", spec->argv[0]);

                kill(spec->keep_group ? p.pid : -p.pid, SIGKILL);
                waitpid(p.pid, NULL, 0);
                return r;
        }
        read_stat(p.pid, &state, &p.start_time); /* not reaped yet, so it exists */
        *ret = p;
        return 0;
}

void proc_kill(const struct proc *p)
{
        if (p->pidfd < 0)
                return;
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
        /* The leader is reaped by proc_reap() only, so its pid still names this group. */
        if (!p->keep_group)
                kill(-p->pid, SIGKILL);
}

static int wait_status(const siginfo_t *si)
{
        return si->si_code == CLD_EXITED ? (si->si_status & 0xff) << 8 : si->si_status & 0x7f;
}

/* Sleeps for a moment. False after the deadline. The end of a group cannot be polled for. */
static bool nap(uint64_t *pause_ns, uint64_t deadline_ns)
{
        struct timespec pause = clock_timespec(*pause_ns);

        if (clock_ns() >= deadline_ns)
                return false;
        nanosleep(&pause, NULL);
        if (*pause_ns < NS_PER_MS)
                *pause_ns *= 2;
        return true;
}

static int err_lives(const struct proc *p, unsigned timeout_ms, struct err *err)
{
        return err_set(err, ETIMEDOUT, "process %d or one it started has not ended within %u ms",
                       (int)p->pid, timeout_ms);
}

int proc_reap_within(struct proc *p, unsigned timeout_ms, int *ret_status, struct err *err)
{
        uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
        struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};
        idtype_t whom = p->keep_group ? P_PID : P_PGID;
        uint64_t pause_ns = 20 * NS_PER_US;
        int status = p->status;
        int n;

        assert(p->pid > 0);
        while ((n = poll(&ended, 1, clock_poll_ms(deadline))) < 0 && errno == EINTR)
                ;
        if (n == 0)
                return err_lives(p, timeout_ms, err);
        /* The rest of the group was killed together with its leader, so it takes a few short naps
         * at most. */
        for (;;) {
                siginfo_t si = {0};

                if (waitid(whom, (id_t)p->pid, &si, WEXITED | WNOHANG) < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == ECHILD)
                                break;
                        return err_errno(err, "wait for process %d", (int)p->pid);
                }
                if (si.si_pid == p->pid)
                        p->status = status = wait_status(&si);
                else if (si.si_pid == 0 && !nap(&pause_ns, deadline))
                        return err_lives(p, timeout_ms, err);
        }
        close_fd(&p->pidfd);
        *p = PROC_INIT;
        if (ret_status)
                *ret_status = status;
        return 0;
}

int proc_reap(struct proc *p, int *ret_status, struct err *err)
{
        return proc_reap_within(p, PROC_REAP_MAX_MS, ret_status, err);
}

int proc_become_subreaper(struct err *err)
{
        signal(SIGCHLD, SIG_DFL);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return err_errno(err, "prctl(PR_SET_CHILD_SUBREAPER)");
        return 0;
}

bool proc_is_alive(pid_t pid, uint64_t start_time)
{
        uint64_t start;
        char state;

        return pid > 0 && read_stat(pid, &state, &start) == 0 && start == start_time &&
               state != 'Z' && state != 'X';
}

const char *proc_status_text(int status, char *text, size_t size)
{
        if (WIFSIGNALED(status))
                snprintf(text, size, "killed by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
        else
                snprintf(text, size, "exited with code %d", WEXITSTATUS(status));
        return text;
}
