/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/clock.h"

#include <string.h>
#include <sys/socket.h>

/* With the lock. */
static void unlist(struct http_deadlines *d, struct http_connection *c)
{
        if (c->owes != HTTP_OWES_NOTHING)
                TAILQ_REMOVE(&d->lists[c->owes], c, at);
        c->owes = HTTP_OWES_NOTHING;
}

/* With the lock. The server's thread sees the end of the connection and does the rest. */
static void cut_off(struct http_deadlines *d, struct http_connection *c)
{
        unlist(d, c);
        shutdown(c->fd, SHUT_RDWR);
}

/* With the lock: shuts down what is late and returns when the next one will be; 0: there is none. */
static uint64_t expire(struct http_deadlines *d)
{
        uint64_t now = clock_ns(), next = 0;

        for (int owing = HTTP_OWES_REQUEST; owing < HTTP_OWING_COUNT; owing++) {
                struct http_connection *c;

                while ((c = TAILQ_FIRST(&d->lists[owing])) != NULL && c->deadline_ns <= now)
                        cut_off(d, c);
                if (c && (!next || c->deadline_ns < next))
                        next = c->deadline_ns;
        }
        return next;
}

static void *watch(void *arg)
{
        struct http_deadlines *d = arg;

        pthread_mutex_lock(&d->lock);
        while (!d->quit) {
                uint64_t next = expire(d);
                struct timespec ts = {.tv_sec = (time_t)(next / NS_PER_S),
                                      .tv_nsec = (long)(next % NS_PER_S)};

                if (next)
                        pthread_cond_timedwait(&d->changed, &d->lock, &ts);
                else
                        pthread_cond_wait(&d->changed, &d->lock);
        }
        pthread_mutex_unlock(&d->lock);
        return NULL;
}

int http_deadlines_start(struct http_deadlines *d, unsigned seconds, struct err *err)
{
        pthread_condattr_t attr;
        int r;

        pthread_mutex_init(&d->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&d->changed, &attr);
        pthread_condattr_destroy(&attr);
        for (int owing = 0; owing < HTTP_OWING_COUNT; owing++)
                TAILQ_INIT(&d->lists[owing]);
        d->time_ns = seconds * NS_PER_S;
        d->quit = false;
        r = pthread_create(&d->thread, NULL, watch, d);
        return r ? err_set(err, r, "start a thread: %s", strerror(r)) : 0;
}

void http_deadlines_stop(struct http_deadlines *d)
{
        pthread_mutex_lock(&d->lock);
        d->quit = true;
        pthread_cond_signal(&d->changed);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
        pthread_cond_destroy(&d->changed);
        pthread_mutex_destroy(&d->lock);
}

void http_deadline_set(struct http_deadlines *d, struct http_connection *c, enum http_owing owes)
{
        pthread_mutex_lock(&d->lock);
        unlist(d, c);
        if (owes != HTTP_OWES_NOTHING) {
                c->deadline_ns = clock_ns() + d->time_ns;
                /* The watcher waits for the first of a list; it need not know of those behind it. */
                if (TAILQ_EMPTY(&d->lists[owes]))
                        pthread_cond_signal(&d->changed);
                TAILQ_INSERT_TAIL(&d->lists[owes], c, at);
                c->owes = owes;
        }
        pthread_mutex_unlock(&d->lock);
}

bool http_deadlines_evict(struct http_deadlines *d)
{
        struct http_connection *c;

        pthread_mutex_lock(&d->lock);
        c = TAILQ_FIRST(&d->lists[HTTP_OWES_REQUEST]);
        if (!c)
                c = TAILQ_FIRST(&d->lists[HTTP_OWES_TRANSFER]);
        if (c)
                cut_off(d, c);
        pthread_mutex_unlock(&d->lock);
        return c != NULL;
}
