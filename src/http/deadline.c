/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/clock.h"
#include "base/thread.h"
#include "base/ulid.h"
#include "prom/prom.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
        LOOK_MS = 1000, /* between looks at all of them */
        LOOK_BATCH = 64,
        END_MS = 2000, /* for a client to close its end after the last response */
};

/* ---- what the kernel knows ---- */

static bool has_unread(const struct http_connection *c)
{
        int n = 0;

        return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

static bool has_room(const struct http_connection *c)
{
        struct pollfd p = {c->fd, POLLOUT, 0};

        return poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

/* Bytes that have moved, both ways; 0 where nobody counts them: a Unix socket, whose client has no slow
 * line. */
static uint64_t moved(const struct http_connection *c)
{
        struct tcp_info info = {0};
        socklen_t size = sizeof(info);

        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return 0;
        return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

/* ---- one connection; with the lock ---- */

static struct http_deadlines *of(const struct http_connection *c)
{
        return &c->server->deadlines;
}

static void unlist(struct http_connection *c)
{
        if (c->owes != HTTP_OWES_NOTHING)
                TAILQ_REMOVE(&of(c)->lists[c->owes], c, at);
        c->owes = HTTP_OWES_NOTHING;
}

static void list(struct http_connection *c, enum http_owing owes, uint64_t limit_ns)
{
        struct http_deadlines *d = of(c);

        unlist(c);
        c->owes = owes;
        c->limit_ns = limit_ns;
        TAILQ_INSERT_TAIL(&d->lists[owes], c, at);
        /* A watcher that is not asleep looks soon enough; a signal for each request would cost more than
         * its answer. */
        if (d->asleep)
                pthread_cond_signal(&d->changed);
        d->asleep = false;
}

/* The server's thread sees the end of the connection and does the rest. */
static void cut_off(struct http_connection *c)
{
        unlist(c);
        atomic_store(&c->over, true);
        shutdown(c->fd, SHUT_RDWR);
}

static void tell(struct http_connection *c, unsigned status, const char *message, bool counts)
{
        char id[ULID_LEN + 1] = "";

        if (atomic_exchange(&c->told, true))
                return;
        ulid_new(id, NULL);
        /* First, while the client is known: it may close as soon as it has its response. */
        if (counts)
                http_connection_count(c, status, id);
        http_say(c->fd, status, message, id);
        shutdown(c->fd, SHUT_WR);
        list(c, HTTP_OWES_END, clock_ns() + END_MS * NS_PER_MS);
}

static void tell_late(struct http_connection *c)
{
        bool begun = c->owes == HTTP_OWES_BODY || atomic_load(&c->partial);

        tell(c, 408, begun ? "the request did not come in time" : "no request came in time", begun);
}

/* True if enough has moved since this was last asked. */
static bool gets_on(struct http_connection *c, uint64_t now)
{
        uint64_t bytes = moved(c);

        if (bytes - c->step < HTTP_TRANSFER_STEP)
                return false;
        c->step = bytes;
        c->limit_ns = now + of(c)->time_ns;
        return true;
}

/* ---- deadlines ---- */

static void look_at_request(struct http_connection *c, uint64_t now)
{
        const struct http_deadlines *d = of(c);
        uint64_t heard = atomic_load_explicit(&c->heard_ns, memory_order_relaxed);
        bool kept = c->used && c->owes == HTTP_OWES_REQUEST && !atomic_load(&c->partial);
        uint64_t idle = heard + (kept ? d->keep_ns : d->idle_ns);

        if (now < idle && (kept || now < c->limit_ns))
                return;
        if (has_unread(c))
                return;
        if (now < idle && c->owes == HTTP_OWES_BODY && gets_on(c, now))
                return;
        tell_late(c);
}

static void look_at_taking(struct http_connection *c, uint64_t now)
{
        uint64_t bytes;

        if (!c->moved)
                c->moved = moved(c);
        if ((now < c->look_ns && now < c->limit_ns) || has_room(c))
                return;
        bytes = moved(c);
        if (now >= c->limit_ns ? !gets_on(c, now) : bytes && bytes == c->moved) {
                cut_off(c);
                return;
        }
        c->moved = bytes;
        c->look_ns = now + of(c)->idle_ns;
}

/* With the lock. */
static void look_at_all(struct http_deadlines *d)
{
        uint64_t now = clock_ns();

        for (int owing = HTTP_OWES_REQUEST; owing < HTTP_OWING_COUNT; owing++) {
                struct http_connection *c, *next;

                for (c = TAILQ_FIRST(&d->lists[owing]); c; c = next) {
                        next = TAILQ_NEXT(c, at);
                        if (owing == HTTP_OWES_TAKING)
                                look_at_taking(c, now);
                        else if (owing != HTTP_OWES_END)
                                look_at_request(c, now);
                        else if (now >= c->limit_ns)
                                cut_off(c);
                }
        }
}

/* ---- room ---- */

static struct http_connection *first_idle(const struct http_deadlines *d)
{
        struct http_connection *c;

        TAILQ_FOREACH(c, &d->lists[HTTP_OWES_REQUEST], at)
        if (!atomic_load(&c->partial) && !has_unread(c))
                return c;
        return NULL;
}

static struct http_connection *first_sending(const struct http_deadlines *d)
{
        struct http_connection *c;

        TAILQ_FOREACH(c, &d->lists[HTTP_OWES_REQUEST], at)
        if (atomic_load(&c->partial))
                return c;
        return TAILQ_FIRST(&d->lists[HTTP_OWES_BODY]);
}

/* With the lock. */
static bool evict(struct http_deadlines *d)
{
        static const char no_room[] = "too many connections; try again later";
        struct http_connection *c;

        if ((c = TAILQ_FIRST(&d->lists[HTTP_OWES_END])) != NULL)
                cut_off(c);
        else if ((c = first_idle(d)) != NULL)
                c->used ? tell(c, 408, "no request came in time", false)
                        : tell(c, 503, no_room, false);
        else if ((c = first_sending(d)) != NULL)
                tell(c, 503, no_room, true);
        else if ((c = TAILQ_FIRST(&d->lists[HTTP_OWES_TAKING])) != NULL)
                cut_off(c);
        if (c)
                prom_counter_inc(d->server->evicted);
        return c != NULL;
}

/* With the lock: where all that could go had sent something that was not read yet, there are more
 * connections than there should be. */
static void evict_surplus(struct http_deadlines *d)
{
        unsigned n = atomic_load(&d->server->n_connections);

        while (n > d->server->max_connections && evict(d))
                n--;
}

void http_deadlines_make_room(struct http_deadlines *d)
{
        if (atomic_load(&d->server->n_connections) < d->server->max_connections)
                return;
        pthread_mutex_lock(&d->lock);
        evict(d);
        pthread_mutex_unlock(&d->lock);
}

/* ---- the watcher ---- */

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

/* With the lock. */
static bool is_empty(const struct http_deadlines *d)
{
        for (int owing = HTTP_OWES_REQUEST; owing < HTTP_OWING_COUNT; owing++)
                if (!TAILQ_EMPTY(&d->lists[owing]))
                        return false;
        return true;
}

static void *watch(void *arg)
{
        struct http_deadlines *d = arg;

        pthread_mutex_lock(&d->lock);
        while (!d->quit) {
                uint64_t look = clock_ns() + LOOK_MS * NS_PER_MS;

                d->asleep = is_empty(d);
                if (d->asleep) {
                        pthread_cond_wait(&d->changed, &d->lock);
                        continue;
                }
                if (clock_cond_wait(&d->changed, &d->lock, look))
                        continue;
                look_at_all(d);
                evict_surplus(d);
                look_for_ends(&d->lists[HTTP_OWES_REQUEST]);
                look_for_ends(&d->lists[HTTP_OWES_BODY]);
        }
        pthread_mutex_unlock(&d->lock);
        return NULL;
}

int http_deadlines_start(struct http_deadlines *d, struct err *err)
{
        pthread_mutex_init(&d->lock, NULL);
        pthread_cond_init(&d->changed, NULL);
        for (int owing = 0; owing < HTTP_OWING_COUNT; owing++)
                TAILQ_INIT(&d->lists[owing]);
        d->quit = false;
        return thread_start(&d->thread, "http-deadline", 0, watch, d, err);
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

void http_deadlines_end(struct http_deadlines *d)
{
        struct http_connection *c, *next;

        pthread_mutex_lock(&d->lock);
        for (int owing = HTTP_OWES_REQUEST; owing <= HTTP_OWES_BODY; owing++)
                for (c = TAILQ_FIRST(&d->lists[owing]); c; c = next) {
                        next = TAILQ_NEXT(c, at);
                        if (owing == HTTP_OWES_BODY || atomic_load(&c->partial) || has_unread(c))
                                tell(c, 503, "the server is ending", true);
                }
        pthread_mutex_unlock(&d->lock);
}

bool http_deadline_set(struct http_connection *c, enum http_owing owes)
{
        struct http_deadlines *d = of(c);
        uint64_t now = clock_ns();
        bool told;

        pthread_mutex_lock(&d->lock);
        told = atomic_load(&c->told);
        if (told) {
                pthread_mutex_unlock(&d->lock);
                return false;
        }
        atomic_store_explicit(&c->heard_ns, now, memory_order_relaxed);
        c->used = c->used || owes != HTTP_OWES_REQUEST;
        c->look_ns = now + d->idle_ns;
        c->moved = 0;
        if (owes == HTTP_OWES_NOTHING)
                unlist(c);
        else
                list(c, owes, now + d->time_ns);
        pthread_mutex_unlock(&d->lock);
        return true;
}

void http_deadline_forget(struct http_connection *c)
{
        pthread_mutex_lock(&of(c)->lock);
        unlist(c);
        pthread_mutex_unlock(&of(c)->lock);
}

void http_connection_tell(struct http_connection *c, unsigned status, const char *message)
{
        pthread_mutex_lock(&of(c)->lock);
        tell(c, status, message, true);
        pthread_mutex_unlock(&of(c)->lock);
}
