/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vsock_conn.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "vmm/virtq.h"
#include "vmm/vsock_host.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct vsock_conn *conn_of(struct vsock_entry *e)
{
        _Static_assert(offsetof(struct vsock_conn, entry) == 0, "conn_of() relies on it");
        return (struct vsock_conn *)e;
}

struct vsock_conn *conns_first(const struct vsock_conns *set)
{
        return conn_of(set->table.list[VSOCK_ALL].first);
}

struct vsock_conn *conn_next(const struct vsock_conn *c)
{
        return conn_of(c->entry.link[VSOCK_ALL].next);
}

static struct vsock_conn *first_deadline(const struct vsock_conns *set)
{
        return conn_of(set->table.list[VSOCK_DEADLINE].first);
}

struct vsock_conn *conns_find(const struct vsock_conns *set, uint32_t guest_port,
                              uint32_t host_port)
{
        return conn_of(vsock_table_find(&set->table, guest_port, host_port));
}

void conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port)
{
        vsock_table_name(&c->conns->table, &c->entry, guest_port, host_port);
}

static void close_socket(struct vsock_conn *c)
{
        int fd = c->src.fd;

        if (fd < 0)
                return;
        loop_del(c->conns->loop, &c->src);
        close(fd);
        c->conns->closed(c->conns->arg);
}

static void drop_out(struct vsock_conn *c)
{
        free(c->out);
        c->out = NULL;
        c->out_head = c->out_len = 0;
}

void conn_free(struct vsock_conn *c)
{
        struct vsock_conns *set = c->conns;

        conn_set_deadline(c, false);
        for (int i = 0; i < VSOCK_LISTS; i++)
                vsock_table_remove(&set->table, &c->entry, (enum vsock_list_id)i);
        vsock_table_unname(&set->table, &c->entry);
        drop_out(c);
        set->n--;
        if (c->state != CONN_LINE)
                set->metrics->vsock_conns_removed++;
        close_socket(c);
        free(c);
}

void conns_clear(struct vsock_conns *set)
{
        struct vsock_conn *c;

        while ((c = conns_first(set)) != NULL)
                conn_free(c);
}

/* Writes buffered bytes of the guest to the socket. -errno: the host takes no more. */
static int flush_out(struct vsock_conn *c)
{
        while (c->out_len > 0 && c->writable) {
                uint32_t first = VSOCK_BUF_ALLOC - c->out_head;
                struct iovec iov[2];
                struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
                ssize_t n;

                if (first > c->out_len)
                        first = c->out_len;
                iov[0] = (struct iovec){c->out + c->out_head, first};
                iov[1] = (struct iovec){c->out, c->out_len - first};
                n = sendmsg(c->src.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EAGAIN) {
                        c->conns->metrics->vsock_tx_flush_fails++;
                        return -errno;
                }
                if (n < 0) {
                        c->writable = false;
                        break;
                }
                c->out_head = (c->out_head + (uint32_t)n) % VSOCK_BUF_ALLOC;
                c->out_len -= (uint32_t)n;
                c->fwd_cnt += (uint32_t)n;
        }
        if (c->out_len == 0)
                drop_out(c);
        return 0;
}

/* The host takes no more bytes: drops those for it and tells the guest by SHUTDOWN. */
static void host_takes_no_more(struct vsock_conn *c)
{
        c->fwd_cnt += c->out_len;
        drop_out(c);
        c->host_deaf = true;
        if (c->state == CONN_OPEN && !(c->shutdown_flags & VSOCK_SHUT_RCV)) {
                c->shutdown_flags |= VSOCK_SHUT_RCV;
                conn_owe(c, OWE_SHUTDOWN);
        }
}

/* After bytes were written to the host: grants credit and forwards a half-close. */
static void after_flush(struct vsock_conn *c)
{
        if (c->fwd_cnt - c->sent_fwd_cnt >= VSOCK_BUF_ALLOC / 2)
                conn_owe(c, OWE_CREDIT);
        if (c->guest_shut_send && c->out_len == 0 && c->src.fd >= 0)
                shutdown(c->src.fd, SHUT_WR);
}

static void open_is_ready(struct vsock_conn *c)
{
        if (c->out_len > 0) {
                if (flush_out(c) < 0)
                        host_takes_no_more(c);
                after_flush(c);
        }
        /* The host had closed its sending side; now it has closed the socket. */
        if (c->hung_up && c->host_eof && c->shutdown_flags != VSOCK_SHUT_BOTH) {
                c->shutdown_flags = VSOCK_SHUT_BOTH;
                conn_owe(c, OWE_SHUTDOWN);
        }
        conn_schedule(c);
}

/* Reads the client's first line, which names the guest's port. May free c. */
static void read_line(struct vsock_conn *c)
{
        char line[VSOCK_CONNECT_LINE_MAX + 1];
        ssize_t n = recv(c->src.fd, line, VSOCK_CONNECT_LINE_MAX, MSG_PEEK | MSG_DONTWAIT);
        uint32_t port;
        char *end;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
        if (!end) {
                /* More may follow, unless the client is gone or the line is already too long. */
                if (n <= 0 || n == VSOCK_CONNECT_LINE_MAX || c->hung_up)
                        conn_kill(c);
                return;
        }
        *end = '\0';
        /* Takes only the line: the bytes after it belong to the stream. */
        if (recv(c->src.fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT) != end - line + 1 ||
            (*end = '\0', vsock_parse_connect(line, &port)) < 0) {
                conn_kill(c);
                return;
        }
        conn_set_deadline(c, false);
        c->state = CONN_REQUESTED;
        conn_name(c, port, vsock_table_free_port(&c->conns->table, port));
        conn_owe(c, OWE_REQUEST);
}

static void socket_ready(struct loop_source *src, uint32_t events)
{
        struct vsock_conn *c = src->owner;

        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                c->readable = true;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                c->writable = true;
        if (events & (EPOLLHUP | EPOLLERR))
                c->hung_up = true;

        switch (c->state) {
        case CONN_LINE:
                if (c->readable)
                        read_line(c);
                break;
        case CONN_REQUESTED:
                if (c->hung_up)
                        conn_kill(c);
                break;
        case CONN_OPEN:
                open_is_ready(c);
                break;
        case CONN_LINGER:
                if (flush_out(c) < 0 || c->out_len == 0)
                        conn_free(c);
                break;
        case CONN_CLOSING:
                break;
        }
}

struct vsock_conn *conn_new(struct vsock_conns *set, int fd, enum vsock_state state)
{
        struct vsock_conn *c = NULL;

        if (set->n < VSOCK_CONN_MAX)
                c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                return NULL;
        }
        c->conns = set;
        c->state = state;
        c->writable = true;
        c->src = (struct loop_source){.fd = -1, .ready = socket_ready, .owner = c};
        set->n++;
        vsock_table_append(&set->table, &c->entry, VSOCK_ALL);
        if (loop_add(set->loop, &c->src, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, NULL) < 0) {
                close(fd);
                conn_free(c);
                return NULL;
        }
        return c;
}

static void arm_timer(struct vsock_conns *set)
{
        const struct vsock_conn *first = first_deadline(set);

        loop_set_timer(set->loop, &set->timer, first ? first->deadline_ns : 0);
}

void conn_set_deadline(struct vsock_conn *c, bool on)
{
        struct vsock_table *table = &c->conns->table;

        vsock_table_remove(table, &c->entry, VSOCK_DEADLINE);
        c->deadline_ns = on ? clock_ns() + VSOCK_HANDSHAKE_NS : 0;
        if (on)
                vsock_table_append(table, &c->entry, VSOCK_DEADLINE);
        arm_timer(c->conns);
}

static void deadline_passed(struct loop_timer *timer)
{
        struct vsock_conns *set = timer->owner;
        uint64_t now = clock_ns();

        while (first_deadline(set) && first_deadline(set)->deadline_ns <= now)
                conn_kill(first_deadline(set));
        arm_timer(set);
}

void conns_init(struct vsock_conns *set, struct loop *loop, struct vmm_metrics *metrics,
                void (*closed)(void *arg), void *arg)
{
        *set = (struct vsock_conns){.loop = loop,
                                    .metrics = metrics,
                                    .timer = {.expired = deadline_passed, .owner = set},
                                    .closed = closed,
                                    .arg = arg};
        vsock_table_init(&set->table);
}

uint32_t conn_credit(const struct vsock_conn *c)
{
        uint32_t under_way = c->sent - c->peer_fwd_cnt;

        return under_way >= c->peer_buf_alloc ? 0 : c->peer_buf_alloc - under_way;
}

static bool has_data(const struct vsock_conn *c)
{
        return c->state == CONN_OPEN && c->readable && !c->host_eof && !c->guest_shut_rcv;
}

void conn_schedule(struct vsock_conn *c)
{
        bool data = has_data(c);

        if (data && conn_credit(c) == 0) {
                data = false;
                if (!c->asked_credit)
                        c->owe |= OWE_CREDIT_REQUEST;
                c->asked_credit = true;
        }
        if ((data || c->owe) && !c->entry.link[VSOCK_RUN].linked)
                vsock_table_append(&c->conns->table, &c->entry, VSOCK_RUN);
}

bool conns_have_runnable(const struct vsock_conns *set)
{
        return set->table.list[VSOCK_RUN].first != NULL;
}

struct vsock_conn *conns_next_runnable(struct vsock_conns *set)
{
        struct vsock_entry *e = set->table.list[VSOCK_RUN].first;

        if (e)
                vsock_table_remove(&set->table, e, VSOCK_RUN);
        return conn_of(e);
}

void conn_owe(struct vsock_conn *c, unsigned what)
{
        c->owe = what == OWE_RST ? OWE_RST : c->owe | what;
        conn_schedule(c);
}

void conn_kill(struct vsock_conn *c)
{
        c->conns->metrics->vsock_conns_killed++;
        /* The guest does not know this stream, so no RST is sent. */
        if (!c->entry.named || c->owe & OWE_REQUEST) {
                conn_free(c);
                return;
        }
        c->state = CONN_CLOSING;
        conn_set_deadline(c, false);
        drop_out(c);
        conn_owe(c, OWE_RST);
        close_socket(c);
}

void conn_guest_is_done(struct vsock_conn *c)
{
        vsock_table_unname(&c->conns->table, &c->entry);
        vsock_table_remove(&c->conns->table, &c->entry, VSOCK_RUN);
        conn_set_deadline(c, false);
        c->owe = 0;
        if (c->out_len == 0) {
                conn_free(c);
                return;
        }
        c->state = CONN_LINGER;
        shutdown(c->src.fd, SHUT_RD);
}

void conn_guest_shutdown(struct vsock_conn *c, uint32_t flags)
{
        if (flags & VSOCK_SHUT_RCV && !c->guest_shut_rcv) {
                c->guest_shut_rcv = true;
                if (c->src.fd >= 0)
                        shutdown(c->src.fd, SHUT_RD);
        }
        if (flags & VSOCK_SHUT_SEND && !c->guest_shut_send) {
                c->guest_shut_send = true;
                after_flush(c);
        }
}

/* Buffers the bytes from `skip` on, which the socket did not take. The caller checked that they
 * fit. */
static int keep_out(struct vsock_conn *c, const struct iovec *iov, int n, size_t skip, uint32_t len)
{
        if (!c->out)
                c->out = malloc(VSOCK_BUF_ALLOC);
        if (!c->out)
                return -ENOMEM;
        for (int i = 0; i < n && len > 0; i++) {
                const char *at = (const char *)iov[i].iov_base + skip;
                size_t piece = iov[i].iov_len;

                if (skip >= piece) {
                        skip -= piece;
                        continue;
                }
                piece -= skip;
                skip = 0;
                piece = piece > len ? len : piece;
                len -= (uint32_t)piece;
                while (piece > 0) {
                        uint32_t tail = (c->out_head + c->out_len) % VSOCK_BUF_ALLOC;
                        size_t room = VSOCK_BUF_ALLOC - tail;

                        room = room > piece ? piece : room;
                        memcpy(c->out + tail, at, room);
                        c->out_len += (uint32_t)room;
                        at += room;
                        piece -= room;
                }
        }
        return 0;
}

int conn_deliver(struct vsock_conn *c, const struct iovec *iov, int n, uint32_t len)
{
        struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
        ssize_t sent = 0;

        if (c->guest_shut_send || len > VSOCK_BUF_ALLOC - c->out_len)
                return -EPROTO; /* after its SHUTDOWN, or beyond its credit */
        if (c->host_deaf) {
                c->fwd_cnt += len;
                after_flush(c);
                return 0;
        }
        if (c->out_len == 0 && c->writable) {
                do {
                        sent = sendmsg(c->src.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
                } while (sent < 0 && errno == EINTR);
                if (sent < 0 && errno != EAGAIN) {
                        c->conns->metrics->vsock_tx_write_fails++;
                        c->fwd_cnt += len;
                        host_takes_no_more(c);
                        return 0;
                }
                if (sent < (ssize_t)len)
                        c->writable = sent > 0;
                sent = sent < 0 ? 0 : sent;
                c->fwd_cnt += (uint32_t)sent;
        }
        if (sent < (ssize_t)len) {
                int r = keep_out(c, iov, n, (size_t)sent, len - (uint32_t)sent);

                if (r < 0)
                        return r;
                /* A short write may have left room in the socket. Without another attempt there
                 * would be no edge to wake us. */
                if (flush_out(c) < 0)
                        host_takes_no_more(c);
        }
        after_flush(c);
        return 0;
}

/* Reads from the host directly into the guest's buffer. 1: a packet, 0: none. */
static int fill_data(struct vsock_conn *c, const struct iovec *iov, int n, size_t room,
                     struct vsock_header *h)
{
        struct iovec part[VIRTQ_CHAIN_IOVS];
        size_t limit = conn_credit(c);
        int parts = 0;
        ssize_t got;

        limit = limit > room ? room : limit;
        limit = limit > VSOCK_PACKET_MAX ? VSOCK_PACKET_MAX : limit;
        for (int i = 0; i < n && limit > 0; i++) {
                part[parts] = iov[i];
                if (part[parts].iov_len > limit)
                        part[parts].iov_len = limit;
                limit -= part[parts++].iov_len;
        }
        if (parts == 0)
                return 0;
        do {
                got = readv(c->src.fd, part, parts);
        } while (got < 0 && errno == EINTR);
        if (got > 0) {
                h->op = VSOCK_OP_RW;
                h->len = (uint32_t)got;
                return 1;
        }
        if (got < 0 && errno == EAGAIN) {
                c->readable = false;
                return 0;
        }
        if (got < 0) {
                c->conns->metrics->vsock_rx_read_fails++;
                c->hung_up = true;
        }
        c->host_eof = true;
        c->shutdown_flags |= c->hung_up ? VSOCK_SHUT_BOTH : VSOCK_SHUT_SEND;
        c->owe |= OWE_SHUTDOWN;
        return 0;
}

static uint16_t owed_op(const struct vsock_conn *c)
{
        static const uint16_t ops[] = {
                VSOCK_OP_RST,           VSOCK_OP_REQUEST,        VSOCK_OP_RESPONSE,
                VSOCK_OP_CREDIT_UPDATE, VSOCK_OP_CREDIT_REQUEST, VSOCK_OP_SHUTDOWN};

        return c->owe ? ops[__builtin_ctz(c->owe)] : VSOCK_OP_INVALID;
}

int conn_fill_packet(struct vsock_conn *c, const struct iovec *iov, int n, size_t room,
                     struct vsock_header *h)
{
        h->len = 0;
        h->flags = 0;
        h->buf_alloc = VSOCK_BUF_ALLOC;
        h->fwd_cnt = c->fwd_cnt;
        /* A data packet also updates the credit, so data precedes packets that only do that. */
        if (!(c->owe & (OWE_RST | OWE_REQUEST | OWE_RESPONSE)) && has_data(c) &&
            fill_data(c, iov, n, room, h))
                return 1;
        h->op = owed_op(c);
        if (h->op == VSOCK_OP_SHUTDOWN)
                h->flags = c->shutdown_flags;
        return h->op != VSOCK_OP_INVALID;
}

void conn_sent(struct vsock_conn *c, const struct vsock_header *h)
{
        c->sent_fwd_cnt = h->fwd_cnt;
        c->owe &= ~(unsigned)OWE_CREDIT;
        switch (h->op) {
        case VSOCK_OP_RST:
                conn_free(c);
                return;
        case VSOCK_OP_RW:
                c->sent += h->len;
                break;
        case VSOCK_OP_REQUEST:
                c->owe &= ~(unsigned)OWE_REQUEST;
                conn_set_deadline(c, true);
                break;
        case VSOCK_OP_RESPONSE:
                c->owe &= ~(unsigned)OWE_RESPONSE;
                break;
        case VSOCK_OP_CREDIT_REQUEST:
                c->owe &= ~(unsigned)OWE_CREDIT_REQUEST;
                break;
        case VSOCK_OP_SHUTDOWN:
                c->owe &= ~(unsigned)OWE_SHUTDOWN;
                if (h->flags != VSOCK_SHUT_BOTH)
                        break;
                /* Both directions are shut; the guest answers with RST. */
                c->state = CONN_CLOSING;
                c->owe = 0;
                drop_out(c);
                conn_set_deadline(c, true);
                close_socket(c);
                return;
        default:
                break;
        }
        conn_schedule(c);
}
