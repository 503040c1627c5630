/* SPDX-License-Identifier: Apache-2.0 */
#include "http/deadline.h"

#include "base/clock.h"
#include "base/thread.h"
#include "http/evict.h"
#include "http/bounds.h"
#include "http/socket.h"

#include <stddef.h>

/* Functions without a note are called with the lock of the connections. */

static void refuse_late(struct http_connection *c)
{
        bool begun = c->phase == HTTP_PHASE_BODY || atomic_load(&c->partial);

        http_connection_refuse_locked(
                c, 408, begun ? "the request did not come in time" : "no request came in time",
                begun);
}

/* Extends the limit if a step has moved since the last time. */
static bool earned_more(struct http_connection *c, uint64_t now)
{
        uint64_t bytes = http_socket_moved(c->fd);

        if (bytes - c->step < HTTP_TRANSFER_STEP)
                return false;
        c->step = bytes;
        c->limit_ns = now + c->all->transfer_ns;
        return true;
}

/* In HEAD or BODY. */
static bool is_late_sending(struct http_connection *c, uint64_t now)
{
        uint64_t heard = atomic_load_explicit(&c->heard_ns, memory_order_relaxed);
        bool kept = http_connection_is_kept_locked(c);
        bool idle = now >= heard + (kept ? c->all->keep_ns : c->all->idle_ns);

        if (!idle && (kept || now < c->limit_ns))
                return false;
        if (http_socket_has_unread(c->fd))
                return false;
        return idle || c->phase != HTTP_PHASE_BODY || !earned_more(c, now);
}

/*
 * In RESPONSE. A transfer that has room, or has moved since the last look, is looked at again after
 * idle_ns. The first look, a second after the phase began, has nothing to compare with. Bytes on a
 * Unix socket are not counted: there only the limit of the whole response applies.
 */
static bool is_late_taking(struct http_connection *c, uint64_t now)
{
        bool has_room = http_socket_has_room(c->fd), first = !c->moved;
        uint64_t bytes = http_socket_moved(c->fd), entered = c->limit_ns - c->all->transfer_ns;

        if (!has_room && (now >= c->limit_ns ? !earned_more(c, now) : !first && bytes == c->moved))
                return true;
        c->moved = bytes;
        c->progress_ns = !bytes ? UINT64_MAX : (first ? entered : now) + c->all->idle_ns;
        return false;
}

/*
 * Sets the timer again if the connection is not late. The time it is set to may have passed
 * already: its limit is over and this server is late. Then the connection is looked at at each tick
 * until the server has caught up.
 */
static void check(struct http_connection *c, uint64_t now)
{
        if (c->phase == HTTP_PHASE_CLOSING) {
                http_connection_cut_locked(c);
        } else if (c->phase == HTTP_PHASE_RESPONSE) {
                if (is_late_taking(c, now))
                        http_connection_cut_locked(c);
                else
                        http_connection_set_timer_locked(c);
        } else if (is_late_sending(c, now)) {
                refuse_late(c);
        } else {
                http_connection_set_timer_locked(c);
        }
}

static void check_expired(struct http_connections *all)
{
        uint64_t now = clock_ns();
        struct http_timer *timer;

        while ((timer = http_wheel_next(&all->wheel, now)) != NULL)
                check((struct http_connection *)((char *)timer -
                                                 offsetof(struct http_connection, timer)),
                      now);
}

/* Takes the lock. */
static void *watch(void *arg)
{
        struct http_connections *all = arg;

        pthread_mutex_lock(&all->lock);
        while (!all->quit) {
                uint64_t tick = (clock_ns() / HTTP_WHEEL_TICK_NS + 1) * HTTP_WHEEL_TICK_NS;

                all->sleeps = !all->wheel.n_set;
                if (clock_cond_wait(&all->timer_set, &all->lock, all->sleeps ? UINT64_MAX : tick))
                        continue;
                check_expired(all);
                http_evict_surplus_locked(all);
        }
        pthread_mutex_unlock(&all->lock);
        return NULL;
}

int http_deadlines_start(struct http_deadlines *d, struct http_connections *all, struct err *err)
{
        int r = thread_start(&d->thread, "http-deadline", 0, watch, all, err);

        if (r == 0)
                d->all = all; /* there is a thread to stop */
        return r;
}

void http_deadlines_stop(struct http_deadlines *d)
{
        if (!d->all)
                return;
        pthread_mutex_lock(&d->all->lock);
        d->all->quit = true;
        pthread_cond_signal(&d->all->timer_set);
        pthread_mutex_unlock(&d->all->lock);
        pthread_join(d->thread, NULL);
        d->all = NULL;
}
