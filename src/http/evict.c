/* SPDX-License-Identifier: Apache-2.0 */
#include "http/evict.h"

#include "http/socket.h"

/* The next three return the candidate that entered its phase first, or NULL. */

static struct http_connection *idle(const struct http_connections *all)
{
        struct http_connection *c;

        TAILQ_FOREACH(c, &all->phases[HTTP_PHASE_HEAD], at)
        if (!atomic_load(&c->partial) && !http_socket_has_unread(c->fd))
                return c;
        return NULL;
}

static struct http_connection *sending(const struct http_connections *all)
{
        struct http_connection *c;

        TAILQ_FOREACH(c, &all->phases[HTTP_PHASE_HEAD], at)
        if (atomic_load(&c->partial))
                return c;
        return TAILQ_FIRST(&all->phases[HTTP_PHASE_BODY]);
}

static struct http_connection *taking(const struct http_connections *all)
{
        return TAILQ_FIRST(&all->phases[HTTP_PHASE_RESPONSE]);
}

/* With the lock. False: there is no candidate. */
static bool evict(struct http_connections *all)
{
        static const char no_room[] = "too many connections; try again later";
        struct http_connection *c;

        if ((c = TAILQ_FIRST(&all->phases[HTTP_PHASE_CLOSING])) != NULL) {
                http_connection_cut_locked(c);
        } else if ((c = idle(all)) != NULL) {
                if (c->used)
                        http_connection_refuse_locked(c, 408, "no request came in time", false);
                else
                        http_connection_refuse_locked(c, 503, no_room, false);
        } else if ((c = sending(all)) != NULL) {
                http_connection_refuse_locked(c, 503, no_room, true);
        } else if ((c = taking(all)) != NULL) {
                http_connection_cut_locked(c);
        } else {
                return false;
        }
        prom_counter_inc(all->metrics->evicted);
        return true;
}

void http_evict_surplus_locked(struct http_connections *all)
{
        unsigned n = atomic_load(&all->n);

        while (n > all->max && evict(all))
                n--;
}

void http_evict_for_new(struct http_connections *all)
{
        if (atomic_load(&all->n) < all->max)
                return;
        pthread_mutex_lock(&all->lock);
        evict(all);
        pthread_mutex_unlock(&all->lock);
}

void http_evict_unfinished(struct http_connections *all)
{
        struct http_connection *c, *next;

        pthread_mutex_lock(&all->lock);
        for (int phase = HTTP_PHASE_HEAD; phase <= HTTP_PHASE_BODY; phase++)
                for (c = TAILQ_FIRST(&all->phases[phase]); c; c = next) {
                        next = TAILQ_NEXT(c, at);
                        if (phase == HTTP_PHASE_BODY || atomic_load(&c->partial) ||
                            http_socket_has_unread(c->fd))
                                http_connection_refuse_locked(c, 503, "the server is shutting down",
                                                              true);
                }
        pthread_mutex_unlock(&all->lock);
}
