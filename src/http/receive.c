/* SPDX-License-Identifier: Apache-2.0 */
#include "http/receive.h"

#include "base/clock.h"
#include "http/connection.h"

#include <errno.h>
#include <sys/socket.h>

enum { DROP_BYTES = 16 * 1024, DROP_TIMES = 64 /* in one call */ };

/* Reads and drops what a client sends after it was refused, so that closing the socket does not
 * reset the connection. 0 at the end of the stream, else -1. */
static ssize_t drop(int fd)
{
        char bytes[DROP_BYTES];

        for (int i = 0; i < DROP_TIMES; i++) {
                ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, NULL, NULL);

                if (n <= 0)
                        return n;
        }
        errno = EAGAIN;
        return -1;
}

/* Checks bytes that have come. Returns how many of them libmicrohttpd may have. */
static ssize_t check(struct http_connection *c, char *bytes, size_t n)
{
        struct http_framing *f = &c->framing;
        bool was_partial = atomic_load_explicit(&c->partial, memory_order_relaxed), partial;

        http_framing_feed(f, bytes, n);
        partial = http_framing_is_partial(f);
        if (partial != was_partial)
                atomic_store(&c->partial, partial);
        /* The time limit of a request in pieces begins with its first piece, unless responses to
         * requests before it are still due: then it begins after the last of them. */
        if (partial && !was_partial && c->n_answered == f->n_whole)
                http_connection_enter(c, HTTP_PHASE_HEAD);
        if (!f->status && !http_framing_is_over(f))
                return (ssize_t)n;
        if (f->status)
                http_connection_answered(c, 0); /* refuses if no response is due */
        if (f->begin > 0)
                return (ssize_t)f->begin;
        return drop(c->fd);
}

/*
 * libmicrohttpd 0.9.75 uses edge-triggered epoll. If a read returns less than was asked for, it
 * takes the socket for empty and waits for the next edge. But when the end of the stream has
 * arrived together with the bytes, there is no further edge, and it would wait for ever. A second
 * read finds that end; shutdown() then makes the kernel report the socket again.
 *
 * If the end arrives after this read, it is a new edge. If this read finds bytes, they are passed
 * on.
 */
static size_t receive_rest(int fd, char *bytes, size_t got, size_t n)
{
        ssize_t more = recvfrom(fd, bytes + got, n - got, MSG_DONTWAIT, NULL, NULL);

        if (more == 0)
                shutdown(fd, SHUT_RD);
        return got + (more > 0 ? (size_t)more : 0);
}

ssize_t http_receive(struct http_gate *gate, void *bytes, size_t n, int flags)
{
        struct http_connection *c = (struct http_connection *)gate;
        ssize_t got;

        if (atomic_load(&c->cut))
                return 0;
        if (atomic_load(&c->refused) || http_framing_is_over(&c->framing))
                return drop(c->fd);
        got = recvfrom(c->fd, bytes, n, flags, NULL, NULL);
        if (got > 0) {
                if ((size_t)got < n)
                        got = (ssize_t)receive_rest(c->fd, bytes, (size_t)got, n);
                atomic_store_explicit(&c->heard_ns, clock_ns(), memory_order_relaxed);
                return check(c, bytes, (size_t)got);
        }
        if (got == 0 && http_framing_is_partial(&c->framing))
                http_connection_refuse(c, 400, "the connection ended in the middle of a request");
        return got;
}
