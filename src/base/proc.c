/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int pidfd_open_pid(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Closes every descriptor above 2 but those in `keep`. `keep` is sorted by the caller. */
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

int proc_reset_signals(void)
{
        /* The kernel's struct sigaction; all zeros is SIG_DFL without flags on every architecture. */
        const unsigned long dfl[8] = {0};
        sigset_t none;

        for (int s = 1; s <= 64; s++)
                syscall(SYS_rt_sigaction, s, dfl, NULL, 8);
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child, between fork and exec: async-signal-safe calls only. Writes errno to `report`. */
static void run_child(const struct proc_spec *spec, pid_t parent, int report)
{
        int fds[3] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
        int keep[PROC_KEEP_MAX + 1];
        int n = 0;
        int e;

        if (!spec->keep_group)
                setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(127);
        proc_reset_signals();

        /* Sources below 3 would be overwritten while the three are put in place: move them up. */
        for (int i = 0; i < 3; i++) {
                if (fds[i] >= 0 && fds[i] < 3)
                        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        }
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

int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err)
{
        _cleanup_close_ int read_end = -1;
        _cleanup_close_ int write_end = -1;
        struct proc p = {.pidfd = -1, .keep_group = spec->keep_group};
        pid_t parent = getpid();
        sigset_t all, was;
        int pipe_fds[2];
        int child_errno = 0;
        ssize_t n;

        assert(spec->argv && spec->argv[0] && spec->n_keep <= PROC_KEEP_MAX);
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return err_errno(err, "cannot start %s: pipe", spec->argv[0]);
        read_end = pipe_fds[0];
        write_end = pipe_fds[1];

        /* No handler of ours may run in the child. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &was);
        p.pid = fork();
        if (p.pid == 0)
                run_child(spec, parent, write_end);
        pthread_sigmask(SIG_SETMASK, &was, NULL);
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
        proc_start_time(p.pid, &p.start_time);
        *ret = p;
        return 0;
}

void proc_kill(const struct proc *p)
{
        if (p->pidfd < 0)
                return;
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
        /* The leader is not reaped before proc_reap(), so its number still names this group. */
        if (!p->keep_group)
                kill(-p->pid, SIGKILL);
}

static int wait_status(const siginfo_t *si)
{
        return si->si_code == CLD_EXITED ? (si->si_status & 0xff) << 8 : si->si_status & 0x7f;
}

int proc_reap(struct proc *p, int *ret_status, struct err *err)
{
        idtype_t whom = p->keep_group ? P_PID : P_PGID;
        int status = 0;
        pid_t pid = p->pid;

        assert(pid > 0);
        for (;;) {
                siginfo_t si = {0};

                if (waitid(whom, (id_t)pid, &si, WEXITED) < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == ECHILD)
                                break;
                        return err_errno(err, "wait for process %d", (int)pid);
                }
                if (si.si_pid == pid)
                        status = wait_status(&si);
        }
        close_fd(&p->pidfd);
        *p = PROC_INIT;
        if (ret_status)
                *ret_status = status;
        return 0;
}

int proc_become_subreaper(struct err *err)
{
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return err_errno(err, "prctl(PR_SET_CHILD_SUBREAPER)");
        return 0;
}

/* Reads state and start time from /proc/PID/stat; the name in it can hold any character. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
        char path[64], text[1024];
        _cleanup_fclose_ FILE *f = NULL;
        unsigned long long start;
        char state;
        char *after;
        size_t n;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        f = fopen(path, "re");
        if (!f)
                return -ESRCH;
        n = fread(text, 1, sizeof(text) - 1, f);
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

int proc_start_time(pid_t pid, uint64_t *ret)
{
        char state;

        return read_stat(pid, &state, ret);
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
