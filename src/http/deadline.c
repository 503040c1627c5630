/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/clock.h"

#include <string.h>
#include <sys/socket.h>

/* With the lock: shuts down what is late and returns when the next one will be; 0: there is none.
 * The server's thread sees the end of the connection and does the rest. */
static uint64_t expire(struct http_deadlines *d)
{
        struct http_connection *c;
        uint64_t now = clock_ns();

        while ((c = TAILQ_FIRST(&d->list)) != NULL) {
                if (c->deadline_ns > now)
                        return c->deadline_ns;
                TAILQ_REMOVE(&d->list, c, at);
                c->listed = false;
                shutdown(c->fd, SHUT_RDWR);
        }
        return 0;
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
        TAILQ_INIT(&d->list);
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

static void unlist(struct http_deadlines *d, struct http_connection *c)
{
        if (c->listed)
                TAILQ_REMOVE(&d->list, c, at);
        c->listed = false;
}

void http_deadline_set(struct http_deadlines *d, struct http_connection *c)
{
        pthread_mutex_lock(&d->lock);
        unlist(d, c);
        c->deadline_ns = clock_ns() + d->time_ns;
        /* The watcher waits for the head of the list; it need not know of those behind it. */
        if (TAILQ_EMPTY(&d->list))
                pthread_cond_signal(&d->changed);
        TAILQ_INSERT_TAIL(&d->list, c, at);
        c->listed = true;
        pthread_mutex_unlock(&d->lock);
}

void http_deadline_clear(struct http_deadlines *d, struct http_connection *c)
{
        pthread_mutex_lock(&d->lock);
        unlist(d, c);
        pthread_mutex_unlock(&d->lock);
}
