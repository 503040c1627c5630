/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/clock.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
        LOOK_MS = 1000, /* between looks for clients that have half closed */
        LOOK_BATCH = 64,
};

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

/*
 * True if enough has moved since this was last asked. The kernel counts, so that a transfer costs
 * nothing here; it does so for TCP, and a client of a Unix socket has no slow line.
 */
static bool gets_on(struct http_connection *c)
{
        struct tcp_info info = {0};
        socklen_t size = sizeof(info);
        uint64_t moved;

        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return false;
        moved = info.tcpi_bytes_acked + info.tcpi_bytes_received;
        if (moved - c->moved < HTTP_TRANSFER_STEP)
                return false;
        c->moved = moved;
        return true;
}

/* With the lock. */
static void put_off(struct http_deadlines *d, struct http_connection *c, uint64_t now)
{
        TAILQ_REMOVE(&d->lists[c->owes], c, at);
        c->deadline_ns = now + d->time_ns;
        TAILQ_INSERT_TAIL(&d->lists[c->owes], c, at);
}

/* With the lock: shuts down what is late and returns when the next one will be; 0: there is none. */
static uint64_t expire(struct http_deadlines *d)
{
        uint64_t now = clock_ns(), next = 0;

        for (int owing = HTTP_OWES_REQUEST; owing < HTTP_OWING_COUNT; owing++) {
                struct http_connection *c;

                while ((c = TAILQ_FIRST(&d->lists[owing])) != NULL && c->deadline_ns <= now)
                        if (owing == HTTP_OWES_TRANSFER && gets_on(c))
                                put_off(d, c, now);
                        else
                                cut_off(d, c);
                if (c && (!next || c->deadline_ns < next))
                        next = c->deadline_ns;
        }
        return next;
}

/*
 * Where a client's last bytes and the end of its stream come together, libmicrohttpd (0.9.75, epoll)
 * reads the bytes, is not told of the end again and waits for the rest of a request that cannot come.
 * With everything read this changes nothing but that it is told once more.
 */
static void tell_of_end(int fd)
{
        int unread = 0;

        if (ioctl(fd, FIONREAD, &unread) == 0 && unread == 0)
                shutdown(fd, SHUT_RD);
}

/* With the lock: looks for clients that have sent all they will. */
static void look_for_ends(const struct http_connection_list *list)
{
        const struct http_connection *c = TAILQ_FIRST(list);

        while (c) {
                struct pollfd p[LOOK_BATCH];
                nfds_t n = 0;

                for (; c && n < LOOK_BATCH; c = TAILQ_NEXT(c, at))
                        p[n++] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
                if (poll(p, n, 0) <= 0)
                        continue;
                for (nfds_t i = 0; i < n; i++)
                        if (p[i].revents & POLLRDHUP)
                                tell_of_end(p[i].fd);
        }
}

static void *watch(void *arg)
{
        struct http_deadlines *d = arg;

        pthread_mutex_lock(&d->lock);
        while (!d->quit) {
                uint64_t next = expire(d), look = clock_ns() + LOOK_MS * NS_PER_MS;
                struct timespec ts;

                d->asleep = !next;
                if (next > look)
                        next = look;
                ts = (struct timespec){.tv_sec = (time_t)(next / NS_PER_S),
                                       .tv_nsec = (long)(next % NS_PER_S)};

                if (next)
                        pthread_cond_timedwait(&d->changed, &d->lock, &ts);
                else
                        pthread_cond_wait(&d->changed, &d->lock);
                for (int owing = HTTP_OWES_REQUEST; owing < HTTP_OWING_COUNT; owing++)
                        look_for_ends(&d->lists[owing]);
        }
        pthread_mutex_unlock(&d->lock);
        return NULL;
}

int http_deadlines_start(struct http_deadlines *d, unsigned seconds, struct err *err)
{
        int r;

        pthread_mutex_init(&d->lock, NULL);
        clock_cond_init(&d->changed);
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
                /* No deadline is nearer than the next look, so only a watcher that does not look at
                 * all has to be told; a signal for each request would cost more than its answer. */
                if (d->asleep)
                        pthread_cond_signal(&d->changed);
                d->asleep = false;
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
