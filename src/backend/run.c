/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/run.h"

#include <assert.h>
#include <errno.h>

void backend_run_init(struct backend_run *run)
{
        *run = (struct backend_run){0};
        pthread_mutex_init(&run->lock, NULL);
        pthread_cond_init(&run->left, NULL);
}

void backend_run_release(struct backend_run *run)
{
        assert(!run->execution);
        pthread_cond_destroy(&run->left);
        pthread_mutex_destroy(&run->lock);
}

bool backend_run_kill(struct backend_run *run)
{
        return !atomic_exchange(&run->killed, true);
}

bool backend_run_is_killed(const struct backend_run *run)
{
        return atomic_load(&run->killed);
}

void backend_run_stop(struct backend_run *run)
{
        backend_stop_fn *stop;

        /* Before the lock is taken: run.h says why no kill is lost. */
        backend_run_kill(run);
        pthread_mutex_lock(&run->lock);
        stop = run->stop;
        run->stop = NULL;
        /* With the lock, so that the execution cannot leave and be freed meanwhile. */
        if (stop)
                stop(run->execution);
        pthread_mutex_unlock(&run->lock);
}

int backend_run_await(struct backend_run *run)
{
        int r = -ENOENT;

        pthread_mutex_lock(&run->lock);
        while (run->execution) {
                r = 0;
                pthread_cond_wait(&run->left, &run->lock);
        }
        pthread_mutex_unlock(&run->lock);
        return r;
}

void backend_run_enter(struct backend_run *run, backend_stop_fn *stop, void *execution)
{
        pthread_mutex_lock(&run->lock);
        assert(!run->execution && execution);
        run->stop = stop;
        run->execution = execution;
        pthread_mutex_unlock(&run->lock);
}

void backend_run_leave(struct backend_run *run)
{
        pthread_mutex_lock(&run->lock);
        run->stop = NULL;
        run->execution = NULL;
        pthread_cond_broadcast(&run->left);
        pthread_mutex_unlock(&run->lock);
}
