/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop: descriptors by epoll, deadlines by the wait's time-out. It never polls:
 * with nothing ready and no timer armed it sleeps for ever.
 *
 * A source or timer is memory of its owner; the loop only points at it. Removing one is allowed at
 * any moment, from its own callback too: no callback of it runs afterwards, so its memory may be
 * freed at once. Thread rule: everything on the thread that runs the loop.
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
        struct loop_timer *next; /* the loop's */
};

struct loop {
        int epoll_fd;
        bool stop;
        bool busy; /* set by `idle` when it left work undone: the next wait does not sleep */
        struct epoll_event batch[LOOP_BATCH];
        int n_batch; /* events of the batch being dispatched */
        struct loop_timer *timers;
        void (*idle)(void *arg); /* called once after each batch; may be NULL */
        void *idle_arg;
};

int loop_init(struct loop *loop, struct err *err);
void loop_release(struct loop *loop);

/* Watches fd (events as for epoll, EPOLLET included). src->ready and src->owner are set before. */
int loop_add(struct loop *loop, struct loop_source *src, int fd, uint32_t events, struct err *err);

/* Stops watching; does not close the descriptor. A source that is not in the loop is fine. */
void loop_del(struct loop *loop, struct loop_source *src);

/* Arms a timer, again if it was armed. deadline_ns 0 disarms it. */
void loop_set_timer(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);

/* Waits once and dispatches what is ready. 0, or -errno when epoll itself fails. */
int loop_turn(struct loop *loop, struct err *err);

/* Turns until loop_stop(). */
int loop_run(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);
