/* SPDX-License-Identifier: Apache-2.0 */
/* Processes start in a clean state, report failures to start, and end in time with all they
 * started. */
#include "base/proc.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int count_fds(void)
{
        _cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
        int n = 0;

        while (d && readdir(d))
                n++;
        return n;
}

/* Runs a shell command and returns its standard output. */
static void shell(const char *line, struct proc_spec *spec, char *ret, size_t size, int *ret_status)
{
        const char *const argv[] = {"/bin/sh", "-c", line, NULL};
        struct proc p = PROC_INIT;
        struct err err = ERR_INIT;
        size_t have = 0;
        int fds[2];
        ssize_t n;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        spec->argv = argv;
        spec->stdout_fd = fds[1];
        if (proc_spawn(spec, &p, &err) < 0)
                fail_msg("%s", err.msg);
        close(fds[1]);
        while (have + 1 < size && (n = read(fds[0], ret + have, size - 1 - have)) > 0)
                have += (size_t)n;
        ret[have] = '\0';
        close(fds[0]);
        assert_int_equal(proc_reap(&p, ret_status, &err), 0);
        assert_int_equal(p.pidfd, -1);
}

static void a_child_starts_clean(void **state)
{
        int before = count_fds(), status = -1;
        int open_anyway = open("/dev/null", O_RDWR); /* without close-on-exec */
        struct proc_spec spec = {.stdin_fd = -1, .stderr_fd = -1, .dir = "/"};
        char out[1024];
        sigset_t set, was;

        signal(SIGUSR1, SIG_IGN);
        sigfillset(&set);
        pthread_sigmask(SIG_BLOCK, &set, &was);
        /* The shell reads it itself, because it blocks signals while it starts a program. */
        shell("ls /proc/$$/fd; pwd; while read -r l; do case $l in SigBlk*|SigIgn*|SigCgt*) "
              "echo \"$l\";; esac; done </proc/$$/status; "
              "cut -d' ' -f5,6 /proc/$$/stat; echo $$ $$; exit 7",
              &spec, out, sizeof(out), &status);
        pthread_sigmask(SIG_SETMASK, &was, NULL);
        assert_int_equal(WEXITSTATUS(status), 7);

        /* The shell may have installed handlers, but no signal is ignored or blocked. */
        assert_non_null(strstr(out, "0\n1\n2\n/\n"));
        assert_non_null(strstr(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
        /* It leads a group and a session. */
        char *group = strstr(strstr(out, "SigCgt"), "\n") + 1;
        char *own = strchr(group, '\n') + 1;
        assert_int_equal(strncmp(group, own, (size_t)(own - group)), 0);

        /* Ours are unchanged. */
        assert_ptr_equal(signal(SIGUSR1, SIG_DFL), SIG_IGN);
        close(open_anyway);
        assert_int_equal(count_fds(), before);
}

static void a_program_that_cannot_run_is_reported(void **state)
{
        static const struct {
                const char *path, *dir;
                int code;
        } cases[] = {{"/nonexistent/program", NULL, ENOENT},
                     {"/etc/passwd", NULL, EACCES},
                     {"/bin/sh", "/nonexistent", ENOENT}};
        int before = count_fds();

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *const argv[] = {cases[i].path, NULL};
                struct proc_spec spec = {.argv = argv,
                                         .dir = cases[i].dir,
                                         .stdin_fd = -1,
                                         .stdout_fd = -1,
                                         .stderr_fd = -1};
                struct proc p = PROC_INIT;
                struct err err = ERR_INIT;

                assert_int_equal(proc_spawn(&spec, &p, &err), -cases[i].code);
                assert_non_null(strstr(err.msg, cases[i].path));
                assert_int_equal(p.pidfd, -1);
        }
        assert_int_equal(count_fds(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

/* Runs in a process that was started with its standard streams closed. */
static int without_streams(void)
{
        const char *const good[] = {"/bin/sh", "-c", "exit 3", NULL};
        const char *const bad[] = {"/nonexistent/program", NULL};
        struct proc_spec spec = {.argv = good, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        struct proc p = PROC_INIT;
        int status = 0;

        for (int fd = 0; fd < 3; fd++)
                close(fd);
        if (proc_spawn(&spec, &p, NULL) < 0 || proc_reap(&p, &status, NULL) < 0 ||
            WEXITSTATUS(status) != 3)
                return 1;
        spec.argv = bad;
        return proc_spawn(&spec, &p, NULL) == -ENOENT ? 0 : 2;
}

static void standard_streams_may_be_closed(void **state)
{
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
                _exit(without_streams());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void a_whole_group_is_ended_in_time(void **state)
{
        const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo; wait", NULL};
        int before = count_fds(), status = 0, fds[2];
        struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stderr_fd = -1};
        struct proc p = PROC_INIT;
        struct err err = ERR_INIT;
        char c;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        spec.stdout_fd = fds[1];
        assert_int_equal(proc_spawn(&spec, &p, &err), 0);
        close(fds[1]);
        assert_int_equal(read(fds[0], &c, 1), 1);

        /* It still runs: the wait times out, and can be repeated. */
        assert_int_equal(proc_reap_within(&p, 1, &status, &err), -ETIMEDOUT);
        assert_true(p.pid > 0 && p.pidfd >= 0);

        proc_kill(&p);
        assert_int_equal(proc_reap(&p, &status, &err), 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(read(fds[0], &c, 1), 0); /* no writer is left */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        close(fds[0]);
        assert_int_equal(count_fds(), before);
}

/* The leader has ended, a process that it started has not. */
static void members_of_a_group_may_outlive_their_leader(void **state)
{
        const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & exit 5", NULL};
        struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        struct proc p = PROC_INIT;
        struct err err = ERR_INIT;
        struct pollfd ended;
        int status = 0;

        assert_int_equal(proc_spawn(&spec, &p, &err), 0);
        ended = (struct pollfd){.fd = p.pidfd, .events = POLLIN};
        assert_int_equal(poll(&ended, 1, -1), 1);
        assert_int_equal(proc_reap_within(&p, 1, &status, &err), -ETIMEDOUT);
        proc_kill(&p);
        assert_int_equal(proc_reap(&p, &status, &err), 0);
        assert_int_equal(WEXITSTATUS(status), 5);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void *spawn_many(void *arg)
{
        const char *const argv[] = {"/bin/true", NULL};
        struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        intptr_t bad = 0;

        for (int i = 0; i < 25; i++) {
                struct proc p = PROC_INIT;
                int status = -1;

                if (proc_spawn(&spec, &p, NULL) < 0 || proc_reap(&p, &status, NULL) < 0 || status)
                        bad++;
        }
        return (void *)bad;
}

static void threads_spawn_at_once(void **state)
{
        int before = count_fds();
        pthread_t threads[4];
        void *bad;

        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, NULL), 0);
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], &bad);
                assert_null(bad);
        }
        assert_int_equal(count_fds(), before);
}

/* As with a parent that ignored SIGCHLD: exec preserves that. */
static void an_ignored_sigchld_is_reset(void **state)
{
        struct proc_spec spec = {.stdin_fd = -1, .stderr_fd = -1};
        struct err err = ERR_INIT;
        int status = 0;
        char out[16];

        signal(SIGCHLD, SIG_IGN);
        assert_int_equal(proc_become_subreaper(&err), 0);
        shell("exit 9", &spec, out, sizeof(out), &status);
        assert_int_equal(WEXITSTATUS(status), 9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_ignored_sigchld_is_reset), /* first: it makes us a subreaper */
                cmocka_unit_test(a_child_starts_clean),
                cmocka_unit_test(a_program_that_cannot_run_is_reported),
                cmocka_unit_test(standard_streams_may_be_closed),
                cmocka_unit_test(a_whole_group_is_ended_in_time),
                cmocka_unit_test(members_of_a_group_may_outlive_their_leader),
                cmocka_unit_test(threads_spawn_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
