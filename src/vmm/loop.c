/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

int loop_init(struct loop *loop, struct err *err)
{
        *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
        if (loop->epoll_fd < 0)
                return err_errno(err, "epoll_create");
        return 0;
}

void loop_release(struct loop *loop)
{
        close_fd(&loop->epoll_fd);
}

int loop_add(struct loop *loop, struct loop_source *src, int fd, uint32_t events, struct err *err)
{
        struct epoll_event ev = {.events = events, .data.ptr = src};

        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
                return err_errno(err, "cannot watch descriptor %d", fd);
        src->fd = fd;
        return 0;
}

void loop_del(struct loop *loop, struct loop_source *src)
{
        if (src->fd < 0)
                return;
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
        src->fd = -1;
        /* The owner may free the source: the remaining events of this batch must not reach it. */
        for (int i = 0; i < loop->n_batch; i++) {
                if (loop->batch[i].data.ptr == src)
                        loop->batch[i].data.ptr = NULL;
        }
}

void loop_set_timer(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
        struct loop_timer **at = &loop->timers;

        while (*at && *at != timer)
                at = &(*at)->next;
        if (*at && !deadline_ns)
                *at = timer->next;
        else if (!*at && deadline_ns) {
                timer->next = NULL;
                *at = timer;
        }
        timer->deadline_ns = deadline_ns;
}

static uint64_t next_deadline(const struct loop *loop)
{
        uint64_t first = 0;

        for (const struct loop_timer *t = loop->timers; t; t = t->next) {
                if (!first || t->deadline_ns < first)
                        first = t->deadline_ns;
        }
        return first;
}

static void run_timers(struct loop *loop)
{
        uint64_t now = clock_ns();
        struct loop_timer *t;

        do {
                /* From the start each time, because a callback may have changed the list. */
                for (t = loop->timers; t && t->deadline_ns > now; t = t->next)
                        ;
                if (t) {
                        loop_set_timer(loop, t, 0);
                        t->expired(t);
                }
        } while (t);
}

int loop_turn(struct loop *loop, struct err *err)
{
        int wait_ms = loop->busy ? 0 : clock_poll_ms(next_deadline(loop));
        int n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, wait_ms);

        if (n < 0 && errno == EINTR)
                n = 0;
        if (n < 0)
                return err_errno(err, "epoll_wait");
        loop->n_batch = n;
        loop->busy = false;
        for (int i = 0; i < n; i++) {
                struct loop_source *src = loop->batch[i].data.ptr;

                if (src)
                        src->ready(src, loop->batch[i].events);
        }
        loop->n_batch = 0;
        if (loop->timers)
                run_timers(loop);
        if (loop->idle)
                loop->idle(loop->idle_arg);
        return 0;
}

int loop_run(struct loop *loop, struct err *err)
{
        int r = 0;

        while (!loop->stop && r == 0)
                r = loop_turn(loop, err);
        return r;
}

void loop_stop(struct loop *loop)
{
        loop->stop = true;
}
