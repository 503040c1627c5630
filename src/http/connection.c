/* SPDX-License-Identifier: Apache-2.0 */
/* Reading from a connection, and the responses that libmicrohttpd does not send itself. */
#include "http/internal.h"

#include "base/clock.h"
#include "http/access.h"
#include "prom/prom.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { DROP_BYTES = 16 * 1024, DROP_TIMES = 64 /* at once */ };

/* Printable text as it is in a JSON string; cut where it does not fit. */
static void quote(const char *text, char *ret, size_t size)
{
        size_t n = 0;

        for (; *text && n + 2 < size; text++) {
                if (*text == '"' || *text == '\\')
                        ret[n++] = '\\';
                ret[n++] = *text;
        }
        ret[n] = '\0';
}

void http_say(int fd, unsigned status, const char *message, const char *id)
{
        char body[320], text[768], quoted[200];
        int n_body, n;

        quote(message, quoted, sizeof(quoted));
        n_body = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"request_id\":\"%.26s\"}\n",
                          quoted, id);
        n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nX-Request-Id: %.26s\r\n",
                     status, MHD_get_reason_phrase_for(status), n_body, id);

        if (status == 503)
                n += snprintf(text + n, sizeof(text) - (size_t)n, "Retry-After: %d\r\n",
                              HTTP_RETRY_AFTER_S);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "Connection: close\r\n\r\n%s", body);
        /* A socket whose buffer is full has a client that reads nothing anyway. */
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
                return;
}

void http_connection_count(struct http_connection *c, unsigned status, const char *id)
{
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof(from);
        char text[16], client[HTTP_CLIENT_MAX] = "";

        if (c->server->access_log != HTTP_ACCESS_OFF &&
            getpeername(c->fd, (struct sockaddr *)&from, &size) == 0)
                http_client_text((const struct sockaddr *)&from, client);
        http_access_log(c->server, &(struct http_access){.method = "other",
                                                         .client = *client ? client : NULL,
                                                         .request_id = id,
                                                         .status = status,
                                                         .bytes = -1});
        snprintf(text, sizeof(text), "%u", status);
        prom_counter_inc(prom_counter_with(c->server->requests, "other", "unmatched", text));
}

/* The end of what a client sends, once it has been told that nobody reads it. -1: not yet. */
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

/* What libmicrohttpd may have of bytes that came: those of requests whose frame is beyond doubt. */
static ssize_t pass(struct http_connection *c, char *bytes, size_t n)
{
        struct http_framing *f = &c->framing;
        bool was_partial = atomic_load_explicit(&c->partial, memory_order_relaxed), partial;

        http_framing_feed(f, bytes, n);
        partial = http_framing_is_partial(f);
        if (partial != was_partial)
                atomic_store(&c->partial, partial);
        /* The time of a request that comes in pieces begins with the first of them. */
        if (partial && !was_partial && c->n_answered == f->n_whole)
                http_deadline_set(c, HTTP_OWES_REQUEST);
        if (!f->status && !http_framing_is_over(f))
                return (ssize_t)n;
        /* The requests before are answered first: http_connection_answered(). */
        if (f->status)
                http_connection_answered(c, 0);
        if (f->begin > 0)
                return (ssize_t)f->begin;
        return drop(c->fd);
}

ssize_t http_connection_receive(struct http_gate *gate, void *bytes, size_t n, int flags)
{
        struct http_connection *c = (struct http_connection *)gate;
        ssize_t got;

        if (atomic_load(&c->over))
                return 0;
        if (atomic_load(&c->told) || http_framing_is_over(&c->framing))
                return drop(c->fd);
        got = recvfrom(c->fd, bytes, n, flags, NULL, NULL);
        if (got > 0) {
                atomic_store_explicit(&c->heard_ns, clock_ns(), memory_order_relaxed);
                return pass(c, bytes, (size_t)got);
        }
        if (got == 0 && http_framing_is_partial(&c->framing))
                http_connection_tell(c, 400, "the connection ended in the middle of a request");
        return got;
}

void http_connection_answered(struct http_connection *c, unsigned n)
{
        c->n_answered += n;
        if (c->framing.status && c->n_answered == c->framing.n_whole)
                http_connection_tell(c, c->framing.status, c->framing.fault);
}
