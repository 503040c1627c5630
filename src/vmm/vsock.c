/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vsock.h"

#include "vmm/logger.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Copy between a flat buffer and the pieces of a chain. Returns the number of bytes copied. */
static size_t chain_read(const struct iovec *iov, int n, void *to, size_t len)
{
        size_t done = 0;

        for (int i = 0; i < n && done < len; i++) {
                size_t piece = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

                memcpy((char *)to + done, iov[i].iov_base, piece);
                done += piece;
        }
        return done;
}

static void chain_write(const struct iovec *iov, int n, const void *from, size_t len)
{
        size_t done = 0;

        for (int i = 0; i < n && done < len; i++) {
                size_t piece = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

                memcpy(iov[i].iov_base, (const char *)from + done, piece);
                done += piece;
        }
}

/* The part of a chain from `skip` on, at most `len` bytes. Returns the number of pieces. */
static int chain_slice(const struct iovec *iov, int n, size_t skip, size_t len, struct iovec *ret)
{
        int k = 0;

        for (int i = 0; i < n && len > 0; i++) {
                size_t piece = iov[i].iov_len;

                if (skip >= piece) {
                        skip -= piece;
                        continue;
                }
                piece = piece - skip < len ? piece - skip : len;
                ret[k++] = (struct iovec){(char *)iov[i].iov_base + skip, piece};
                len -= piece;
                skip = 0;
        }
        return k;
}

static void watch_kicks(struct vsock_device *dev, bool on);

static void break_device(struct vsock_device *dev, int queue, const struct err *err)
{
        logger_error("vsock: device disabled, %s ring: %s", queue == VU_TX ? "tx" : "rx", err->msg);
        if (queue == VU_TX)
                dev->metrics->vsock_tx_queue_event_fails++;
        else
                dev->metrics->vsock_rx_queue_event_fails++;
        dev->broken = true;
        watch_kicks(dev, false);
        conns_clear(&dev->conns);
        dev->n_rst = 0;
        dev->tx_again = false;
}

static void owe_stranger(struct vsock_device *dev, const struct vsock_header *h)
{
        if (h->op == VSOCK_OP_RST)
                return;
        /* process_tx() takes no packet unless there is room for an answer. */
        assert(dev->n_rst < VSOCK_RST_MAX);
        dev->rst[(dev->rst_first + dev->n_rst++) % VSOCK_RST_MAX] =
                (struct vsock_stranger){h->src_port, h->dst_port};
}

static void accept_guest(struct vsock_device *dev, const struct vsock_header *h)
{
        struct vsock_conn *c = NULL;
        int fd = -EMFILE;

        if (dev->conns.n < VSOCK_CONN_MAX)
                fd = dev->dial(dev, h->dst_port);
        if (fd >= 0)
                c = conn_new(&dev->conns, fd, CONN_OPEN);
        if (!c) {
                owe_stranger(dev, h);
                return;
        }
        dev->metrics->vsock_conns_added++;
        conn_name(c, h->src_port, h->dst_port);
        c->peer_buf_alloc = h->buf_alloc;
        c->peer_fwd_cnt = h->fwd_cnt;
        conn_owe(c, OWE_RESPONSE);
}

static void guest_responded(struct vsock_conn *c)
{
        char line[32];
        int n = snprintf(line, sizeof(line), "OK %u\n", c->entry.host_port);

        if (c->state != CONN_REQUESTED || send(c->src.fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
                conn_kill(c);
                return;
        }
        c->conns->metrics->vsock_conns_added++;
        c->state = CONN_OPEN;
        conn_set_deadline(c, false);
        conn_schedule(c);
}

static void guest_shut(struct vsock_device *dev, struct vsock_conn *c, const struct vsock_header *h)
{
        if (c->state == CONN_REQUESTED) {
                conn_kill(c);
                return;
        }
        conn_guest_shutdown(c, h->flags);
        if (!c->guest_shut_rcv || !c->guest_shut_send) {
                conn_schedule(c);
                return;
        }
        conn_guest_is_done(c);
        owe_stranger(dev, h);
}

/* Handles a packet for a known stream. */
static void handle_known(struct vsock_device *dev, struct vsock_conn *c,
                         const struct vsock_header *h, const struct iovec *payload, int n)
{
        if (c->owe & OWE_RST)
                return; /* killed on our side; RST is on its way to the guest */
        c->peer_buf_alloc = h->buf_alloc;
        c->peer_fwd_cnt = h->fwd_cnt;
        if (conn_credit(c) > 0)
                c->asked_credit = false;
        switch (h->op) {
        case VSOCK_OP_RESPONSE:
                guest_responded(c);
                return;
        case VSOCK_OP_RST:
                conn_guest_is_done(c);
                return;
        case VSOCK_OP_SHUTDOWN:
                guest_shut(dev, c, h);
                return;
        case VSOCK_OP_RW:
                if (c->state == CONN_CLOSING)
                        return;
                if (c->state != CONN_OPEN || conn_deliver(c, payload, n, h->len) < 0) {
                        conn_kill(c);
                        return;
                }
                break;
        case VSOCK_OP_CREDIT_UPDATE:
                break;
        case VSOCK_OP_CREDIT_REQUEST:
                conn_owe(c, OWE_CREDIT);
                return;
        default: /* a second REQUEST, or an unknown operation */
                conn_kill(c);
                return;
        }
        conn_schedule(c);
}

static void handle_packet(struct vsock_device *dev, const struct virtq_chain *chain)
{
        struct iovec payload[VIRTQ_CHAIN_IOVS];
        struct vsock_header h;
        struct vsock_conn *c;
        int n;

        dev->metrics->vsock_tx_packets_count++;
        if (chain_read(chain->iov, chain->n_out, &h, sizeof(h)) < sizeof(h) ||
            h.src_cid != dev->guest_cid || h.dst_cid != VSOCK_CID_HOST ||
            h.len > chain->out_len - sizeof(h)) {
                dev->metrics->vsock_tx_queue_event_fails++;
                return; /* not a valid packet of this guest: there is no address to answer to */
        }
        if (h.type != VSOCK_TYPE_STREAM) {
                owe_stranger(dev, &h);
                return;
        }
        c = conns_find(&dev->conns, h.src_port, h.dst_port);
        if (!c) {
                if (h.op == VSOCK_OP_REQUEST)
                        accept_guest(dev, &h);
                else
                        owe_stranger(dev, &h);
                return;
        }
        n = chain_slice(chain->iov, chain->n_out, sizeof(h), h.len, payload);
        if (h.op == VSOCK_OP_RW)
                dev->metrics->vsock_tx_bytes_count += h.len;
        handle_known(dev, c, &h, payload, n);
}

static void process_tx(struct vsock_device *dev)
{
        struct virtq *q = &dev->vu->ring[VU_TX];
        struct err err = ERR_INIT;
        struct virtq_chain chain;
        int r = 0;

        dev->tx_again = false;
        dev->tx_stalled = false;
        virtq_disable_kick(q);
        for (int i = 0;; i++) {
                dev->tx_stalled = dev->n_rst == VSOCK_RST_MAX;
                if (dev->tx_stalled || i == VSOCK_TX_BATCH) {
                        dev->tx_again = true;
                        break;
                }
                r = virtq_pop(q, &chain, &err);
                if (r == 0 && virtq_enable_kick(q)) {
                        virtq_disable_kick(q);
                        continue;
                }
                if (r <= 0)
                        break;
                handle_packet(dev, &chain);
                virtq_push(q, chain.head, 0);
        }
        virtq_signal(q);
        if (r < 0)
                break_device(dev, VU_TX, &err);
}

/* Fills a chain with the next packet for the guest. 1: filled, *ret_len bytes; 0: no packet. */
static int next_packet(struct vsock_device *dev, const struct virtq_chain *chain, uint32_t *ret_len)
{
        struct iovec payload[VIRTQ_CHAIN_IOVS];
        struct vsock_header h = {
                .src_cid = VSOCK_CID_HOST, .dst_cid = dev->guest_cid, .type = VSOCK_TYPE_STREAM};
        size_t room = chain->in_len - sizeof(h);
        struct vsock_conn *c = NULL;

        if (dev->n_rst > 0) {
                const struct vsock_stranger *s = &dev->rst[dev->rst_first];

                h.op = VSOCK_OP_RST;
                h.src_port = s->host_port;
                h.dst_port = s->guest_port;
                dev->rst_first = (dev->rst_first + 1) % VSOCK_RST_MAX;
                dev->n_rst--;
        } else {
                int n = chain_slice(chain->iov, chain->n_in, sizeof(h), room, payload);

                do {
                        c = conns_next_runnable(&dev->conns);
                        if (!c)
                                return 0;
                } while (!conn_fill_packet(c, payload, n, room, &h));
                h.src_port = c->entry.host_port;
                h.dst_port = c->entry.guest_port;
        }
        chain_write(chain->iov, chain->n_in, &h, sizeof(h));
        *ret_len = (uint32_t)sizeof(h) + h.len;
        dev->metrics->vsock_rx_packets_count++;
        dev->metrics->vsock_rx_bytes_count += h.len;
        if (c)
                conn_sent(c, &h);
        return 1;
}

static void process_rx(struct vsock_device *dev)
{
        struct virtq *q = &dev->vu->ring[VU_RX];
        struct err err = ERR_INIT;
        struct virtq_chain chain;
        uint32_t len = 0;
        int r = 0;

        virtq_disable_kick(q);
        for (int i = 0; dev->n_rst > 0 || conns_have_runnable(&dev->conns); i++) {
                if (i == VSOCK_TX_BATCH) {
                        dev->loop->busy = true;
                        break;
                }
                r = virtq_pop(q, &chain, &err);
                if (r == 0 && virtq_enable_kick(q))
                        continue; /* buffers arrived meanwhile */
                if (r <= 0)
                        break;
                if (chain.n_out > 0 || chain.in_len < sizeof(struct vsock_header)) {
                        r = err_set(&err, EPROTO, "receive buffer of %zu bytes", chain.in_len);
                        break;
                }
                if (!next_packet(dev, &chain, &len)) {
                        /* The buffer was not returned, so the next pop takes it again. */
                        virtq_unpop(q);
                        break;
                }
                virtq_push(q, chain.head, len);
        }
        virtq_signal(q);
        if (r < 0)
                break_device(dev, VU_RX, &err);
}

void vsock_process(struct vsock_device *dev)
{
        if (!dev->broken && dev->tx_again && vu_ring_is_live(dev->vu, VU_TX))
                process_tx(dev);
        if (!dev->broken && (dev->n_rst > 0 || conns_have_runnable(&dev->conns)) &&
            vu_ring_is_live(dev->vu, VU_RX))
                process_rx(dev);
        /* A queue stalled for lack of RX buffers continues only when there is room for answers
         * again. */
        if (dev->tx_again && vu_ring_is_live(dev->vu, VU_TX) &&
            (!dev->tx_stalled || dev->n_rst < VSOCK_RST_MAX))
                dev->loop->busy = true;
}

static void kicked(struct loop_source *src, uint32_t events)
{
        struct vsock_device *dev = src->owner;
        uint64_t count;

        (void)events;
        if (read(src->fd, &count, sizeof(count)) < 0)
                return;
        if (src == &dev->kick[VU_TX]) {
                dev->tx_again = true;
                dev->metrics->vsock_tx_queue_event_count++;
        } else {
                dev->metrics->vsock_rx_queue_event_count++;
        }
}

static void watch_kicks(struct vsock_device *dev, bool on)
{
        struct err err = ERR_INIT;

        for (int i = 0; i < VU_QUEUES; i++) {
                const struct virtq *q = &dev->vu->ring[i];

                loop_del(dev->loop, &dev->kick[i]);
                if (on && q->ready &&
                    loop_add(dev->loop, &dev->kick[i], q->kick_fd, EPOLLIN, &err) < 0)
                        logger_error("vsock: %s", err.msg);
        }
}

static void rings_changed(void *arg)
{
        struct vsock_device *dev = arg;

        if (dev->broken)
                return;
        watch_kicks(dev, true);
        dev->tx_again = vu_ring_is_live(dev->vu, VU_TX);
}

static void rings_stopping(void *arg)
{
        watch_kicks(arg, false);
}

/* A new driver knows none of the streams. Clients still waiting for a first driver keep waiting. */
static void rings_reset(void *arg)
{
        struct vsock_device *dev = arg;
        struct vsock_conn *c, *next;

        for (c = conns_first(&dev->conns); c; c = next) {
                next = conn_next(c);
                if (c->state != CONN_LINE && c->state != CONN_LINGER && !(c->owe & OWE_REQUEST))
                        conn_free(c);
        }
        dev->n_rst = 0;
}

static void host_connected(void *arg, int fd)
{
        struct vsock_device *dev = arg;
        struct vsock_conn *c;

        if (dev->broken) {
                close(fd);
                return;
        }
        c = conn_new(&dev->conns, fd, CONN_LINE);
        if (c)
                conn_set_deadline(c, true);
        else
                dev->metrics->vsock_conns_killed++;
}

static void socket_closed(void *arg)
{
        struct vsock_device *dev = arg;

        vsock_listener_resume(&dev->listener);
}

int vsock_dial(struct vsock_device *dev, uint32_t port)
{
        return vsock_dial_uds(dev->listener.path, port);
}

int vsock_init(struct vsock_device *dev, struct loop *loop, struct vhost_user *vu,
               struct vmm_metrics *metrics, uint64_t guest_cid, const char *uds_path,
               struct err *err)
{
        *dev = (struct vsock_device){.loop = loop,
                                     .vu = vu,
                                     .metrics = metrics,
                                     .guest_cid = guest_cid,
                                     .dial = vsock_dial,
                                     .listener = VSOCK_LISTENER_INIT};
        for (int i = 0; i < VU_QUEUES; i++)
                dev->kick[i] = (struct loop_source){.fd = -1, .ready = kicked, .owner = dev};
        conns_init(&dev->conns, loop, metrics, socket_closed, dev);
        if (uds_path &&
            vsock_listener_init(&dev->listener, loop, uds_path, host_connected, dev, err) < 0)
                return -err->code;
        vu->changed = rings_changed;
        vu->stopping = rings_stopping;
        vu->reset = rings_reset;
        vu->arg = dev;
        return 0;
}

void vsock_release(struct vsock_device *dev)
{
        dev->listener.paused = false; /* sockets that close now do not resume it */
        conns_clear(&dev->conns);
        watch_kicks(dev, false);
        loop_set_timer(dev->loop, &dev->conns.timer, 0);
        vsock_listener_release(&dev->listener);
}
