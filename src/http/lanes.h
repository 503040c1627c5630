/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads that share jobs by lane. Each lane has a queue and may have a bound on the workers
 * that run its jobs at the same time, so jobs that wait for long leave workers to the other lanes.
 * Free workers take from the lanes in turn. A queue needs no bound of its own: each job is a
 * request, and the server bounds its connections.
 *
 *     http_lanes_init(&lanes, (unsigned[HTTP_LANES]){4, 2}); // bounds of lanes 0 and 1; others: none
 *     http_lanes_start(&lanes, 8, &err);
 *     http_lanes_add(&lanes, 1, &request->job);     // calls job->run(job) on a worker
 *     http_lanes_stop(&lanes);                      // runs what is queued first
 *
 * Thread rule: start and stop on one thread, add on any. No lock is held while a job runs.
 */
#pragma once

#include "base/err.h"
#include "http/route.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

/* Embedded in what the job is about; it must live until run() is called, which may free it. */
struct http_job {
        TAILQ_ENTRY(http_job) at;
        void (*run)(struct http_job *job);
};

TAILQ_HEAD(http_job_list, http_job);

struct http_lanes {
        pthread_mutex_t lock; /* guards all below; a leaf: nothing else is locked under it */
        pthread_cond_t work;  /* a job was added, a lane has a worker less, or `quit` */
        struct {
                struct http_job_list jobs;
                unsigned max, n_running; /* workers */
        } lanes[HTTP_LANES];
        unsigned next; /* the lane to look at first */
        bool quit;
        pthread_t *workers;
        unsigned n_workers;
};

void http_lanes_init(struct http_lanes *l, const unsigned max[HTTP_LANES]);

/* Starts n workers. On failure, http_lanes_stop() stops those already started. */
int http_lanes_start(struct http_lanes *l, unsigned n, struct err *err);

void http_lanes_add(struct http_lanes *l, unsigned lane, struct http_job *job);

/* Runs the jobs that are queued, ends the workers and frees. */
void http_lanes_stop(struct http_lanes *l);
