/* SPDX-License-Identifier: Apache-2.0 */
/* A program that exits at the moment it is killed: the result has one of the two, not both. */
#include "guest/job.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        struct guest guest;
        struct job job;
        struct outbox outbox;
};

/* A job whose program does nothing until it is killed, or has already exited with 3. */
static struct fixture *fixture_with(bool has_ended)
{
        struct fixture *p = calloc(1, sizeof(*p));
        siginfo_t info;
        pid_t pid;

        assert_non_null(p);
        p->guest = GUEST_INIT;
        assert_int_equal(job_init(&p->job, &p->guest, NULL), 0);
        assert_int_equal(outbox_init(&p->outbox, NULL), 0);
        pid = fork();
        if (pid == 0) {
                setpgid(0, 0);
                if (has_ended)
                        _exit(3);
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        setpgid(pid, pid);
        if (has_ended) /* it is not reaped yet */
                assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        p->job.program.pid = pid;
        p->job.state = JOB_RUN;
        return p;
}

static void let_time_pass(struct fixture *p)
{
        struct itimerspec now = {.it_value.tv_nsec = 1};
        struct pollfd timer = {.fd = p->job.timer, .events = POLLIN};

        assert_int_equal(timerfd_settime(p->job.timer, 0, &now, NULL), 0);
        assert_int_equal(poll(&timer, 1, -1), 1);
        job_time(&p->job);
}

static void until_ended(struct fixture *p)
{
        siginfo_t info;

        while (p->job.state != JOB_ENDED) {
                waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
                job_reap(&p->job);
                job_settle(&p->job, &p->outbox);
        }
}

static void release(struct fixture *p)
{
        outbox_release(&p->outbox);
        job_release(&p->job);
        free(p);
}

static void a_program_killed_for_its_time_is_reported_as_timed_out(void **state)
{
        struct fixture *p = fixture_with(false);

        let_time_pass(p);
        until_ended(p);
        assert_true(p->job.result.timed_out);
        assert_int_equal(p->job.result.exit_code, -1);
        assert_int_equal(p->job.result.signal, SIGKILL);
        assert_false(p->job.result.oom);
        release(p);
}

static void a_program_that_exits_at_its_time_limit_is_reported_with_its_exit_code(void **state)
{
        struct fixture *p = fixture_with(true);

        let_time_pass(p);
        until_ended(p);
        assert_false(p->job.result.timed_out);
        assert_int_equal(p->job.result.exit_code, 3);
        release(p);
}

static void a_program_that_exits_as_memory_runs_out_is_reported_with_its_exit_code(void **state)
{
        struct fixture *p = fixture_with(true);

        p->job.full = true; /* as job_press() does */
        job_kill(&p->job);
        until_ended(p);
        assert_false(p->job.result.oom);
        assert_int_equal(p->job.result.exit_code, 3);
        release(p);
}

static void a_program_out_of_memory_and_time_is_reported_as_timed_out(void **state)
{
        struct fixture *p = fixture_with(false);

        p->job.full = true;
        let_time_pass(p);
        until_ended(p);
        assert_int_equal(p->job.result.timed_out + p->job.result.oom, 1);
        assert_int_equal(p->job.result.exit_code, -1);
        release(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_program_killed_for_its_time_is_reported_as_timed_out),
                cmocka_unit_test(
                        a_program_that_exits_at_its_time_limit_is_reported_with_its_exit_code),
                cmocka_unit_test(
                        a_program_that_exits_as_memory_runs_out_is_reported_with_its_exit_code),
                cmocka_unit_test(a_program_out_of_memory_and_time_is_reported_as_timed_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
