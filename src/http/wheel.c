/* SPDX-License-Identifier: Apache-2.0 */
#include "http/wheel.h"

static void insert(struct http_wheel *w, struct http_timer *timer)
{
        uint64_t tick = (timer->due_ns + HTTP_WHEEL_TICK_NS - 1) / HTTP_WHEEL_TICK_NS;

        if (tick < w->tick) /* in the past: the next tick is the first that will be collected */
                tick = w->tick;
        timer->list = &w->slots[tick % HTTP_WHEEL_SLOTS];
        TAILQ_INSERT_TAIL(timer->list, timer, at);
}

void http_wheel_init(struct http_wheel *w, uint64_t now_ns)
{
        *w = (struct http_wheel){.tick = now_ns / HTTP_WHEEL_TICK_NS};
        TAILQ_INIT(&w->due);
        for (int i = 0; i < HTTP_WHEEL_SLOTS; i++)
                TAILQ_INIT(&w->slots[i]);
}

void http_wheel_set(struct http_wheel *w, struct http_timer *timer, uint64_t due_ns)
{
        http_wheel_clear(w, timer);
        timer->due_ns = due_ns;
        insert(w, timer);
        w->n_set++;
}

void http_wheel_clear(struct http_wheel *w, struct http_timer *timer)
{
        if (!timer->list)
                return;
        TAILQ_REMOVE(timer->list, timer, at);
        timer->list = NULL;
        w->n_set--;
}

/* Moves the timers of the next tick to `due`. False: that tick has not come. */
static bool collect(struct http_wheel *w, uint64_t now_tick)
{
        struct http_timer_list *slot;
        struct http_timer *timer;

        if (w->tick > now_tick)
                return false;
        /* After a long pause each slot is collected once, not once per missed turn. */
        if (now_tick - w->tick >= HTTP_WHEEL_SLOTS)
                w->tick = now_tick - HTTP_WHEEL_SLOTS + 1;
        slot = &w->slots[w->tick++ % HTTP_WHEEL_SLOTS];
        /* `list` must name the list a timer is in, so that http_wheel_clear() may remove it from
         * `due` between two calls of http_wheel_next(). */
        TAILQ_FOREACH(timer, slot, at)
        timer->list = &w->due;
        TAILQ_CONCAT(&w->due, slot, at);
        return true;
}

struct http_timer *http_wheel_next(struct http_wheel *w, uint64_t now_ns)
{
        struct http_timer *timer;

        do {
                while ((timer = TAILQ_FIRST(&w->due)) != NULL) {
                        w->n_visits++;
                        if (timer->due_ns <= now_ns) {
                                http_wheel_clear(w, timer);
                                return timer;
                        }
                        TAILQ_REMOVE(&w->due, timer, at); /* it is for a later turn */
                        insert(w, timer);
                }
        } while (collect(w, now_ns / HTTP_WHEEL_TICK_NS));
        return NULL;
}
