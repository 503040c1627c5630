/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a job, the table of jobs and its references. */
#include "engine/job.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int setup(void **state)
{
        struct jobs *jobs = calloc(1, sizeof(*jobs));

        *state = jobs;
        return jobs_init(jobs, 4, NULL);
}

static int teardown(void **state)
{
        jobs_release(*state);
        free(*state);
        return 0;
}

static struct job *add_job(struct jobs *jobs)
{
        struct job *job = NULL;

        assert_int_equal(job_new(&job, NULL), 0);
        jobs_add(jobs, job);
        return job;
}

static void end_job(struct jobs *jobs, struct job *job, enum job_state to)
{
        struct workload record = job->record;

        record.status = WORKLOAD_KILLED;
        jobs_move_record(jobs, job, to, &record);
}

static void forget_job(struct jobs *jobs, struct job *job)
{
        jobs_remove(jobs, job, JOB_FORGOTTEN);
        job_unref(job);
}

static void a_job_is_visible_after_it_is_accepted(void **state)
{
        struct jobs *jobs = *state;
        struct job *job = add_job(jobs), *found;

        assert_null(jobs_find(jobs, job->id, false));
        found = jobs_find(jobs, job->id, true);
        assert_ptr_equal(found, job);
        job_unref(found);
        jobs_move(jobs, job, JOB_QUEUED);
        found = jobs_find(jobs, job->id, false);
        assert_ptr_equal(found, job);
        job_unref(found);
        jobs_move(jobs, job, JOB_CLAIMED);
        end_job(jobs, job, JOB_RECORDED);
        forget_job(jobs, job);
}

static void a_reference_outlives_the_table(void **state)
{
        struct jobs *jobs = *state;
        struct job *job = add_job(jobs), *found = jobs_find(jobs, job->id, true);

        jobs_remove(jobs, job, JOB_REJECTED);
        job_unref(job);
        assert_null(jobs_find(jobs, found->id, true));
        assert_int_equal(found->state, JOB_REJECTED);
        job_unref(found);
}

static void jobs_are_counted_by_state(void **state)
{
        struct jobs *jobs = *state;
        struct job *a = add_job(jobs), *b = add_job(jobs);
        struct workload running = b->record;

        jobs_move(jobs, a, JOB_QUEUED);
        jobs_move(jobs, b, JOB_READY);
        assert_int_equal(jobs_pending(jobs), 2);
        jobs_move(jobs, b, JOB_CLAIMED);
        assert_int_equal(jobs_pending(jobs), 2);
        running.status = WORKLOAD_RUNNING;
        jobs_move_record(jobs, b, JOB_RUNNING, &running);
        assert_int_equal(jobs_pending(jobs), 1);
        end_job(jobs, b, JOB_UNRECORDED);
        assert_int_equal(jobs->by_state[JOB_UNRECORDED], 1);
        assert_ptr_equal(TAILQ_FIRST(&jobs->unrecorded), b);
        assert_int_equal(jobs->ended[WORKLOAD_KILLED], 1);
        forget_job(jobs, b);
        assert_null(TAILQ_FIRST(&jobs->unrecorded));
        jobs_move(jobs, a, JOB_CLAIMED);
        end_job(jobs, a, JOB_RECORDED);
        assert_true(job_is_over(a));
        forget_job(jobs, a);
        assert_int_equal(jobs->ended[WORKLOAD_KILLED], 2);
        assert_int_equal(jobs->table.n_entries, 0);
}

/* True if moving a job to this state ends the process. */
static bool move_aborts(struct jobs *jobs, struct job *job, enum job_state to)
{
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                signal(SIGABRT, SIG_DFL);
                prctl(PR_SET_DUMPABLE, 0);
                close(STDERR_FILENO);
                jobs_move(jobs, job, to);
                _exit(0);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void a_job_does_not_skip_states(void **state)
{
        struct jobs *jobs = *state;
        struct job *job = add_job(jobs);

        assert_true(move_aborts(jobs, job, JOB_RUNNING));
        assert_false(move_aborts(jobs, job, JOB_QUEUED));
        jobs_move(jobs, job, JOB_QUEUED);
        assert_true(move_aborts(jobs, job, JOB_REJECTED));
        assert_true(move_aborts(jobs, job, JOB_RUNNING));
        jobs_move(jobs, job, JOB_CLAIMED);
        assert_true(move_aborts(jobs, job, JOB_READY));
        end_job(jobs, job, JOB_RECORDED);
        assert_true(move_aborts(jobs, job, JOB_UNRECORDED));
        forget_job(jobs, job);
}

static bool is_readable(int fd)
{
        return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

static void a_draining_table_is_idle_when_it_is_empty(void **state)
{
        struct jobs *jobs = *state;
        struct job *job = add_job(jobs);

        jobs_enter(jobs, JOBS_STOPPING);
        assert_false(is_readable(jobs->idle_fd));
        jobs_enter(jobs, JOBS_DRAINING); /* does not go back */
        assert_int_equal(jobs->phase, JOBS_STOPPING);
        jobs_remove(jobs, job, JOB_REJECTED);
        job_unref(job);
        assert_true(is_readable(jobs->idle_fd));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
                TEST(a_job_is_visible_after_it_is_accepted),
                TEST(a_reference_outlives_the_table),
                TEST(jobs_are_counted_by_state),
                TEST(a_job_does_not_skip_states),
                TEST(a_draining_table_is_idle_when_it_is_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
