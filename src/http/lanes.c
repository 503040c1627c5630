/* SPDX-License-Identifier: Apache-2.0 */
#include "http/lanes.h"

#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

void http_lanes_init(struct http_lanes *l, const unsigned max[HTTP_LANES])
{
        *l = (struct http_lanes){0};
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->work, NULL);
        for (int i = 0; i < HTTP_LANES; i++) {
                TAILQ_INIT(&l->lanes[i].jobs);
                l->lanes[i].max = max[i] ? max[i] : UINT_MAX;
        }
}

/*
 * With the lock: the lane from which to take a job, or -1. The search begins after the lane that
 * was served last, so a lane that always has jobs cannot starve the others.
 */
static int next_lane(struct http_lanes *l)
{
        for (unsigned i = 0; i < HTTP_LANES; i++) {
                unsigned lane = (l->next + i) % HTTP_LANES;

                if (TAILQ_EMPTY(&l->lanes[lane].jobs) ||
                    l->lanes[lane].n_running >= l->lanes[lane].max)
                        continue;
                l->next = (lane + 1) % HTTP_LANES;
                return (int)lane;
        }
        return -1;
}

/*
 * No job is forgotten without a signal when a lane falls below its bound: the worker that made it
 * fall looks for a lane itself before it waits. It takes one job at most, and every other job was
 * added with a signal of its own or found its lane at the bound, where one of the lane's workers
 * will finish later.
 */
static void *work(void *arg)
{
        struct http_lanes *l = arg;
        struct http_job *job;
        int lane;

        pthread_mutex_lock(&l->lock);
        for (;;) {
                while ((lane = next_lane(l)) < 0 && !l->quit)
                        pthread_cond_wait(&l->work, &l->lock);
                if (lane < 0)
                        break;
                job = TAILQ_FIRST(&l->lanes[lane].jobs);
                TAILQ_REMOVE(&l->lanes[lane].jobs, job, at);
                l->lanes[lane].n_running++;
                pthread_mutex_unlock(&l->lock);
                job->run(job);
                pthread_mutex_lock(&l->lock);
                l->lanes[lane].n_running--;
        }
        pthread_mutex_unlock(&l->lock);
        return NULL;
}

int http_lanes_start(struct http_lanes *l, unsigned n, struct err *err)
{
        int r;

        l->workers = calloc(n, sizeof(*l->workers));
        if (!l->workers)
                return err_set(err, ENOMEM, "out of memory");
        for (; l->n_workers < n; l->n_workers++)
                if ((r = thread_start(&l->workers[l->n_workers], "http-worker", 0, work, l, err)) <
                    0)
                        return r;
        return 0;
}

void http_lanes_add(struct http_lanes *l, unsigned lane, struct http_job *job)
{
        pthread_mutex_lock(&l->lock);
        TAILQ_INSERT_TAIL(&l->lanes[lane].jobs, job, at);
        pthread_cond_signal(&l->work);
        pthread_mutex_unlock(&l->lock);
}

void http_lanes_stop(struct http_lanes *l)
{
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->lock);
        for (unsigned i = 0; i < l->n_workers; i++)
                pthread_join(l->workers[i], NULL);
        free(l->workers);
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->lock);
}
