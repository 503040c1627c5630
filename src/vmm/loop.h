/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop: descriptors by epoll, deadlines by the timeout of the wait. It never
 * polls: with nothing ready and no timer armed it sleeps without limit.
 *
 * Sources and timers belong to their owners; the loop only points at them. Either can be removed at
 * any moment, even from its own callback. Its callback does not run after that, so the owner may
 * free it immediately. Thread rule: the thread that runs the loop.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_BATCH = 64 };

struct loop_source {
        int fd; /* -1: not in a loop */
        void (*ready)(struct loop_source *src, uint32_t events);
        void *owner;
};

struct loop_timer {
        uint64_t deadline_ns; /* of clock_ns(); 0: not armed */
        void (*expired)(struct loop_timer *timer);
        void *owner;
        struct loop_timer *next; /* used by the loop */
};

struct loop {
        int epoll_fd;
        bool stop;
        bool busy; /* set by `idle` if it has more work: the next wait does not sleep */
        struct epoll_event batch[LOOP_BATCH];
        int n_batch; /* events of the batch being dispatched */
        struct loop_timer *timers;
        void (*idle)(void *arg); /* called once after each batch; may be NULL */
        void *idle_arg;
};

int loop_init(struct loop *loop, struct err *err);
void loop_release(struct loop *loop);

/* Watches fd. Events are epoll's, including EPOLLET. src->ready and src->owner are already set. */
int loop_add(struct loop *loop, struct loop_source *src, int fd, uint32_t events, struct err *err);

/* Stops watching; does not close the descriptor. No-op for a source that is not in the loop. */
void loop_del(struct loop *loop, struct loop_source *src);

/* Arms or rearms a timer. A deadline_ns of 0 disarms it. */
void loop_set_timer(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);

/* Waits once and dispatches the events. 0, or -errno if epoll fails. */
int loop_turn(struct loop *loop, struct err *err);

/* Repeats loop_turn() until loop_stop(). */
int loop_run(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);
