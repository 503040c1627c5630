/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vsock_conn.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct vsock_list *list_of(struct vsock_device *dev, int which)
{
        return which == LINK_ALL ? &dev->all : which == LINK_RUN ? &dev->run : &dev->deadline;
}

static void link_last(struct vsock_conn *c, int which)
{
        struct vsock_list *l = list_of(c->dev, which);

        c->link[which] = (struct vsock_link){l->last, NULL, true};
        if (l->last)
                l->last->link[which].next = c;
        else
                l->first = c;
        l->last = c;
}

static void unlink_conn(struct vsock_conn *c, int which)
{
        struct vsock_list *l = list_of(c->dev, which);
        struct vsock_link *k = &c->link[which];

        if (!k->linked)
                return;
        if (k->prev)
                k->prev->link[which].next = k->next;
        else
                l->first = k->next;
        if (k->next)
                k->next->link[which].prev = k->prev;
        else
                l->last = k->prev;
        *k = (struct vsock_link){0};
}

static unsigned bucket_of(uint32_t guest_port, uint32_t host_port)
{
        return (guest_port * 2654435761u ^ host_port * 2246822519u) >> 24 & (VSOCK_BUCKETS - 1);
}

struct vsock_conn *conn_find(struct vsock_device *dev, uint32_t guest_port, uint32_t host_port)
{
        struct vsock_conn *c = dev->bucket[bucket_of(guest_port, host_port)];

        while (c && (c->guest_port != guest_port || c->host_port != host_port))
                c = c->bucket_next;
        return c;
}

void conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port)
{
        struct vsock_conn **at = &c->dev->bucket[bucket_of(guest_port, host_port)];

        assert(!c->in_table);
        c->guest_port = guest_port;
        c->host_port = host_port;
        c->bucket_next = *at;
        *at = c;
        c->in_table = true;
}

void conn_unname(struct vsock_conn *c)
{
        struct vsock_conn **at = &c->dev->bucket[bucket_of(c->guest_port, c->host_port)];

        if (!c->in_table)
                return;
        while (*at != c)
                at = &(*at)->bucket_next;
        *at = c->bucket_next;
        c->in_table = false;
}

static void close_socket(struct vsock_conn *c)
{
        int fd = c->src.fd;

        if (fd < 0)
                return;
        loop_del(c->dev->loop, &c->src);
        close(fd);
        if (c->dev->listener_is_paused)
                vsock_listen_again(c->dev);
}

static void drop_out(struct vsock_conn *c)
{
        free(c->out);
        c->out = NULL;
        c->out_head = c->out_len = 0;
}

void conn_free(struct vsock_conn *c)
{
        struct vsock_device *dev = c->dev;

        conn_set_deadline(c, false);
        for (int i = 0; i < LINKS; i++)
                unlink_conn(c, i);
        conn_unname(c);
        drop_out(c);
        dev->n_conns--;
        if (c->state != CONN_LINE)
                dev->metrics->vsock_conns_removed++;
        close_socket(c);
        free(c);
}

/* Passes on to the socket what the guest sent before. -errno: the host takes no more. */
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
                        c->dev->metrics->vsock_tx_flush_fails++;
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

/* The host will never take another byte: what comes for it is dropped, and the guest is told. */
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

/* After bytes have left for the host: grants credit and passes a half-close on. */
static void after_flush(struct vsock_conn *c)
{
        if (c->fwd_cnt - c->told_fwd_cnt >= VSOCK_BUF_ALLOC / 2)
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
        /* It said before that it sends no more; now it is gone altogether. */
        if (c->hung_up && c->host_eof && c->shutdown_flags != VSOCK_SHUT_BOTH) {
                c->shutdown_flags = VSOCK_SHUT_BOTH;
                conn_owe(c, OWE_SHUTDOWN);
        }
        conn_schedule(c);
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
                        conn_read_line(c);
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

struct vsock_conn *conn_new(struct vsock_device *dev, int fd, enum vsock_state state)
{
        struct vsock_conn *c = NULL;

        if (dev->n_conns < VSOCK_CONN_MAX)
                c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                return NULL;
        }
        c->dev = dev;
        c->state = state;
        c->writable = true;
        c->src = (struct loop_source){.fd = -1, .ready = socket_ready, .owner = c};
        dev->n_conns++;
        link_last(c, LINK_ALL);
        if (loop_add(dev->loop, &c->src, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, NULL) < 0) {
                close(fd);
                conn_free(c);
                return NULL;
        }
        return c;
}

void conn_set_deadline(struct vsock_conn *c, bool on)
{
        struct vsock_device *dev = c->dev;

        unlink_conn(c, LINK_DEADLINE);
        c->deadline_ns = on ? clock_ns() + VSOCK_HANDSHAKE_NS : 0;
        if (on)
                link_last(c, LINK_DEADLINE);
        loop_set_timer(dev->loop, &dev->timer,
                       dev->deadline.first ? dev->deadline.first->deadline_ns : 0);
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
        if ((data || c->owe) && !c->link[LINK_RUN].linked)
                link_last(c, LINK_RUN);
}

struct vsock_conn *conn_next_runnable(struct vsock_device *dev)
{
        struct vsock_conn *c = dev->run.first;

        if (c)
                unlink_conn(c, LINK_RUN);
        return c;
}

void conn_owe(struct vsock_conn *c, unsigned what)
{
        c->owe = what == OWE_RST ? OWE_RST : c->owe | what;
        conn_schedule(c);
}

void conn_kill(struct vsock_conn *c)
{
        c->dev->metrics->vsock_conns_killed++;
        /* The guest never heard of it, or has forgotten it. */
        if (!c->in_table || c->owe & OWE_REQUEST) {
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
        conn_unname(c);
        unlink_conn(c, LINK_RUN);
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

/* Keeps bytes that the socket did not take, from `skip` on. The caller checked that they fit. */
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
                return -EPROTO; /* it said it would not, or has not the credit for it */
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
                        c->dev->metrics->vsock_tx_write_fails++;
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
                /* A short write may have left room: without another try no edge would come. */
                if (flush_out(c) < 0)
                        host_takes_no_more(c);
        }
        after_flush(c);
        return 0;
}

/* Reads from the host straight into the guest's buffer. 1: a packet, 0: none. */
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
                c->dev->metrics->vsock_rx_read_fails++;
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
        /* Data tells the guest its credit as well, so it goes before the packets that only do that. */
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
        c->told_fwd_cnt = h->fwd_cnt;
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
                /* Nothing can move any more; the guest answers with RST. */
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
