/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device with a hostile guest and erratic hosts. Input: a script of one-byte commands
 * with arguments. They write anything into guest memory, including the rings, send packets, offer
 * buffers, and connect, write, read and close on the host's side.
 */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "../unit/vmm_driver.h"
#include "vmm/logger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
        const uint8_t *at;
        size_t left;
};

static uint8_t byte(struct script *s)
{
        if (!s->left)
                return 0;
        s->left--;
        return *s->at++;
}

static uint32_t number(struct script *s, int bytes)
{
        uint32_t v = 0;

        while (bytes-- > 0)
                v = v << 8 | byte(s);
        return v;
}

static void poke(struct driver *d, struct script *s)
{
        uint32_t at = number(s, 3) % DRV_MEM;
        uint32_t n = byte(s);

        for (; n > 0 && s->left && at < DRV_MEM; n--)
                d->mem[at++] = byte(s);
}

static void send_packet(struct driver *d, struct script *s)
{
        struct vsock_header h = drv_header(byte(s), byte(s), byte(s) % 10);

        h.flags = byte(s);
        h.len = number(s, 2) % (DRV_TX_SLOT - 64);
        h.buf_alloc = number(s, 2);
        h.fwd_cnt = number(s, 2);
        drv_send(d, &h, NULL);
}

/* Answers the device's last REQUEST, so that the host's connections open. */
static void respond(struct driver *d)
{
        struct vsock_header h;

        while (drv_recv(d, &h, NULL)) {
                if (h.op == VSOCK_OP_REQUEST) {
                        h = drv_header(h.dst_port, h.src_port, VSOCK_OP_RESPONSE);
                        drv_send(d, &h, NULL);
                        return;
                }
        }
}

static void host_connects(struct driver *d, struct script *s, int *host)
{
        int pair[2];
        char line[64];
        size_t n = byte(s) % sizeof(line);
        struct vsock_conn *c;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        close_fd(host);
        *host = pair[1];
        for (size_t i = 0; i < n; i++)
                line[i] = (char)byte(s);
        if (n && write(pair[1], line, n) < 0)
                return;
        c = conn_new(&d->dev.conns, pair[0], CONN_LINE);
        if (c)
                conn_set_deadline(c, true);
        drv_run(d);
}

static void host_writes(struct driver *d, struct script *s, int fd)
{
        static const char bytes[8192];

        if (fd >= 0 && send(fd, bytes, number(s, 2) % sizeof(bytes), MSG_NOSIGNAL) < 0)
                return;
        drv_run(d);
}

static void host_reads(struct driver *d, int fd)
{
        char bytes[16384];

        while (fd >= 0 && read(fd, bytes, sizeof(bytes)) > 0)
                ;
        drv_run(d);
}

static void run(struct driver *d, struct script *s, int *host)
{
        int *end = byte(s) & 1 ? host : &d->dial_fd;

        switch (byte(s) % 11) {
        case 0:
                poke(d, s);
                break;
        case 1:
                send_packet(d, s);
                break;
        case 2:
                drv_post_rx(d, byte(s) % 16);
                break;
        case 3:
                drv_kick(d, byte(s) & 1);
                break;
        case 4:
                host_writes(d, s, *end);
                break;
        case 5:
                host_reads(d, *end);
                break;
        case 6:
                if (*end >= 0)
                        shutdown(*end, byte(s) % 3);
                drv_run(d);
                break;
        case 7:
                close_fd(end);
                drv_run(d);
                break;
        case 8:
                host_connects(d, s, host);
                break;
        case 9:
                respond(d);
                break;
        default:
                drv_offer(d, byte(s) & 1, (uint16_t)number(s, 2));
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct script s = {data, size};
        struct driver d;
        struct err err = ERR_INIT;
        int host = -1;

        logger_set_level(LOGGER_OFF);
        if (drv_init(&d, NULL) < 0)
                abort();
        d.vu.ring[VU_RX].event_idx = d.vu.ring[VU_TX].event_idx = size & 1;
        if (drv_start_rings(&d, &err) < 0)
                abort();
        while (s.left)
                run(&d, &s, &host);
        /* Limits that hold for any input. */
        if (d.dev.conns.n > VSOCK_CONN_MAX || d.dev.n_rst > VSOCK_RST_MAX)
                abort();
        for (struct vsock_conn *c = conns_first(&d.dev.conns); c; c = conn_next(c)) {
                if (c->out_len > VSOCK_BUF_ALLOC)
                        abort();
        }
        close_fd(&host);
        drv_release(&d);
        return 0;
}
