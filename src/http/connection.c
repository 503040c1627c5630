/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connection.h"

#include "base/clock.h"
#include "base/ulid.h"
#include "http/peer.h"
#include "http/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { FIRST_LOOK_MS = 1000 }; /* at a response: most have been taken by then */

void http_connections_init(struct http_connections *all)
{
        *all = (struct http_connections){0};
        pthread_mutex_init(&all->lock, NULL);
        pthread_cond_init(&all->timer_set, NULL);
        http_wheel_init(&all->wheel, clock_ns());
        for (int phase = 0; phase < HTTP_PHASES; phase++)
                TAILQ_INIT(&all->phases[phase]);
}

void http_connections_release(struct http_connections *all)
{
        pthread_cond_destroy(&all->timer_set);
        pthread_mutex_destroy(&all->lock);
}

/* ---- with the lock ---- */

bool http_connection_is_kept_locked(const struct http_connection *c)
{
        return c->used && c->phase == HTTP_PHASE_HEAD && !atomic_load(&c->partial);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* When a limit may have passed. heard_ns only grows, so this is never too late. If bytes arrive
 * later, the timer expires too early once, and is set again. */
static uint64_t due_of(const struct http_connection *c)
{
        uint64_t heard = atomic_load_explicit(&c->heard_ns, memory_order_relaxed);

        if (c->phase == HTTP_PHASE_CLOSING)
                return c->limit_ns;
        if (c->phase == HTTP_PHASE_RESPONSE)
                return earlier(c->progress_ns, c->limit_ns);
        if (http_connection_is_kept_locked(c))
                return heard + c->all->keep_ns;
        return earlier(heard + c->all->idle_ns, c->limit_ns);
}

void http_connection_set_timer_locked(struct http_connection *c)
{
        http_wheel_set(&c->all->wheel, &c->timer, due_of(c));
}

static void leave_phase(struct http_connection *c)
{
        TAILQ_REMOVE(&c->all->phases[c->phase], c, at);
        http_wheel_clear(&c->all->wheel, &c->timer);
}

/*
 * A watcher that does not sleep wakes at the next tick, which no timer precedes, so it needs no
 * signal: one for each request would cost more than the request. It sleeps only while no timer is
 * set.
 */
static void enter_phase(struct http_connection *c, enum http_phase phase, uint64_t limit_ns)
{
        struct http_connections *all = c->all;

        c->phase = phase;
        c->limit_ns = limit_ns;
        TAILQ_INSERT_TAIL(&all->phases[phase], c, at);
        if (phase == HTTP_PHASE_HANDLER)
                return;
        http_connection_set_timer_locked(c);
        if (all->sleeps)
                pthread_cond_signal(&all->timer_set);
        all->sleeps = false;
}

/* Its socket is shut down, so libmicrohttpd's epoll reports it and its thread does the rest. */
void http_connection_cut_locked(struct http_connection *c)
{
        leave_phase(c);
        enter_phase(c, HTTP_PHASE_HANDLER, 0);
        atomic_store(&c->cut, true);
        shutdown(c->fd, SHUT_RDWR);
}

static void count(const struct http_connection *c, unsigned status, const char *id)
{
        char text[16], client[HTTP_CLIENT_MAX] = "";

        if (http_access_is_logged(c->all->access, status))
                http_peer_of(c->fd, client);
        http_access_write(c->all->access, &(struct http_access){.method = "other",
                                                                .client = *client ? client : NULL,
                                                                .request_id = id,
                                                                .status = status,
                                                                .bytes = -1});
        snprintf(text, sizeof(text), "%u", status);
        prom_counter_inc(prom_counter_with(c->all->metrics->requests, "other", "unmatched", text));
}

void http_connection_refuse_locked(struct http_connection *c, unsigned status, const char *message,
                                   bool counts)
{
        char id[ULID_LEN + 1] = "";

        if (atomic_exchange(&c->refused, true))
                return;
        ulid_new(id, NULL);
        /* Before the response: a client that has it may close, and then its address is not
         * known. */
        if (counts)
                count(c, status, id);
        http_refusal_send(c->fd, status, message, id);
        shutdown(c->fd, SHUT_WR);
        leave_phase(c);
        enter_phase(c, HTTP_PHASE_CLOSING, clock_ns() + HTTP_CLOSING_MS * NS_PER_MS);
}

/* ---- without it ---- */

void http_connection_refuse(struct http_connection *c, unsigned status, const char *message)
{
        pthread_mutex_lock(&c->all->lock);
        http_connection_refuse_locked(c, status, message, true);
        pthread_mutex_unlock(&c->all->lock);
}

/* `refused` is checked under the lock that sets it: a request cannot enter HANDLER or RESPONSE
 * after its connection was refused, nor be refused unnoticed once it has entered. */
bool http_connection_enter(struct http_connection *c, enum http_phase phase)
{
        struct http_connections *all = c->all;
        uint64_t now = clock_ns();
        bool refused;

        pthread_mutex_lock(&all->lock);
        refused = atomic_load(&c->refused);
        if (!refused) {
                atomic_store_explicit(&c->heard_ns, now, memory_order_relaxed);
                c->used = c->used || phase != HTTP_PHASE_HEAD;
                c->progress_ns = now + FIRST_LOOK_MS * NS_PER_MS;
                c->moved = 0;
                leave_phase(c);
                enter_phase(c, phase, now + all->transfer_ns);
        }
        pthread_mutex_unlock(&all->lock);
        return !refused;
}

static void count_open(struct http_connections *all, int n)
{
        unsigned now = atomic_fetch_add(&all->n, (unsigned)n) + (unsigned)n;

        prom_gauge_set(all->metrics->connections, now);
}

struct http_connection *http_connection_open(struct http_connections *all, int fd,
                                             ssize_t (*receive)(struct http_gate *gate, void *bytes,
                                                                size_t n, int flags))
{
        struct http_connection *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->gate.receive = receive;
        c->all = all;
        c->fd = fd;
        c->framing = HTTP_FRAMING_INIT;
        if (!http_gate_open(fd, &c->gate)) {
                free(c);
                return NULL;
        }
        count_open(all, 1);
        pthread_mutex_lock(&all->lock);
        TAILQ_INSERT_TAIL(&all->phases[HTTP_PHASE_HANDLER], c, at);
        pthread_mutex_unlock(&all->lock);
        http_connection_enter(c, HTTP_PHASE_HEAD);
        return c;
}

void http_connection_close(struct http_connection *c)
{
        struct http_connections *all = c->all;

        http_gate_close(c->fd);
        pthread_mutex_lock(&all->lock);
        leave_phase(c);
        pthread_mutex_unlock(&all->lock);
        free(c);
        count_open(all, -1);
}

void http_connection_answered(struct http_connection *c, unsigned n)
{
        c->n_answered += n;
        if (c->framing.status && c->n_answered == c->framing.n_whole)
                http_connection_refuse(c, c->framing.status, c->framing.fault);
}
