/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer wheel: many timers, of which few expire. Setting and clearing a timer takes constant
 * time, and collecting the expired ones costs in proportion to their number, however many others
 * are set.
 *
 *     http_wheel_set(&wheel, &c->timer, clock_ns() + timeout_ns);
 *     ...
 *     while ((timer = http_wheel_next(&wheel, clock_ns())) != NULL)
 *             ... the timer has expired and is no longer set ...
 *
 * Time is divided into ticks of HTTP_WHEEL_TICK_NS; slot i holds the timers that expire in tick i,
 * i + HTTP_WHEEL_SLOTS and so on. A timer expires at the first tick that begins at or after its
 * time, so it is late by less than a tick and never early. One that lies more than HTTP_WHEEL_SLOTS
 * ticks ahead is visited once per turn of the wheel.
 *
 * Thread rule: none of its own; the owner's lock guards a wheel and its timers.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define HTTP_WHEEL_TICK_NS NS_PER_S

enum { HTTP_WHEEL_SLOTS = 128 }; /* above the default time limits, in ticks */

TAILQ_HEAD(http_timer_list, http_timer);

/* Embedded in what it times. All zero: not set. */
struct http_timer {
        TAILQ_ENTRY(http_timer) at;
        struct http_timer_list *list; /* NULL: not set */
        uint64_t due_ns;
};

struct http_wheel {
        struct http_timer_list slots[HTTP_WHEEL_SLOTS];
        struct http_timer_list due; /* those of the tick that is being collected */
        uint64_t tick;              /* the next one to collect */
        uint64_t n_set;
        uint64_t n_visits; /* timers that http_wheel_next() has looked at: the cost so far */
};

void http_wheel_init(struct http_wheel *w, uint64_t now_ns);

/* Sets a timer, or moves it if it is set. */
void http_wheel_set(struct http_wheel *w, struct http_timer *timer, uint64_t due_ns);

/* Does nothing if the timer is not set. */
void http_wheel_clear(struct http_wheel *w, struct http_timer *timer);

/* Clears and returns an expired timer; NULL if there is none. Times of calls must not decrease. */
struct http_timer *http_wheel_next(struct http_wheel *w, uint64_t now_ns);
