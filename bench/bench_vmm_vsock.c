/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the vsock device per packet, with a simulated driver in the same process: streams in
 * both directions and round trips, compared with the same bytes through a socket pair.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../tests/unit/vmm_driver.h"
#include "base/clock.h"
#include "vmm/logger.h"

enum { ROUNDS = 20000, PAGE = 4096 };

static struct driver d;
static int host;
static char data[PAGE];

static void die(const char *what)
{
        fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
}

static void turn(int queue)
{
        uint64_t one = 1;

        if (write(d.vu.ring[queue].kick_fd, &one, sizeof(one)) < 0)
                die("kick");
        d.loop.busy = true;
        loop_turn(&d.loop, NULL);
        vsock_process(&d.dev);
}

static void offer_buffer(void)
{
        uint16_t head = (uint16_t)(d.ring[VU_RX].next++ % (DRV_NUM / 2) * 2);

        drv_offer(&d, VU_RX, head);
}

static uint32_t receive(void)
{
        struct vsock_header h;
        uint32_t n = 0;

        while (drv_recv(&d, &h, NULL)) {
                n += h.len;
                offer_buffer();
        }
        return n;
}

static void open_stream(void)
{
        struct vsock_header h = drv_header(1024, 52, VSOCK_OP_REQUEST);

        drv_post_rx(&d, DRV_NUM / 2);
        h.buf_alloc = UINT32_MAX / 2;
        drv_send(&d, &h, NULL);
        receive();
        host = d.dial_fd;
        if (host < 0)
                die("connect");
}

static void show(const char *what, uint64_t ns, uint64_t packets, uint64_t bytes)
{
        printf("%-34s %8.0f ns/packet %10.0f MB/s\n", what, (double)ns / (double)packets,
               (double)bytes / (double)ns * 1e3);
}

static void to_guest(size_t n)
{
        uint64_t began = clock_ns();
        uint64_t sent = 0;
        uint32_t got = 0;
        char name[64];

        for (int i = 0; i < ROUNDS; i++, sent += n) {
                if (write(host, data, n) != (ssize_t)n)
                        die("write");
                turn(VU_RX);
                got += receive();
        }
        if (got != sent)
                die("host to guest");
        snprintf(name, sizeof(name), "host -> guest, %zu bytes", n);
        show(name, clock_ns() - began, ROUNDS, sent);
}

static void to_host(size_t n)
{
        struct vsock_header h = drv_header(1024, 52, VSOCK_OP_RW);
        uint64_t began = clock_ns();
        uint64_t got = 0;
        char name[64];

        h.len = (uint32_t)n;
        h.buf_alloc = UINT32_MAX / 2;
        for (int i = 0; i < ROUNDS; i++) {
                ssize_t r;

                drv_put_tx(&d, &h, data);
                turn(VU_TX);
                r = read(host, data, n);
                got += r > 0 ? (uint64_t)r : 0;
                receive(); /* credit updates */
        }
        if (got != ROUNDS * n)
                die("guest to host");
        snprintf(name, sizeof(name), "guest -> host, %zu bytes", n);
        show(name, clock_ns() - began, ROUNDS, got);
}

static void bare(size_t n)
{
        uint64_t began = clock_ns();
        char name[64];
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                die("socketpair");
        for (int i = 0; i < ROUNDS; i++) {
                if (write(pair[0], data, n) != (ssize_t)n || read(pair[1], data, n) != (ssize_t)n)
                        die("socket pair");
        }
        snprintf(name, sizeof(name), "bare socket pair, %zu bytes", n);
        show(name, clock_ns() - began, ROUNDS, (uint64_t)ROUNDS * n);
        close(pair[0]);
        close(pair[1]);
}

int main(void)
{
        struct err err = ERR_INIT;
        static const size_t sizes[] = {64, PAGE};

        logger_set_level(LOGGER_OFF);
        if (drv_init(&d, NULL) < 0 || drv_start_rings(&d, &err) < 0)
                die("driver");
        open_stream();
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                bare(sizes[i]);
                to_guest(sizes[i]);
                to_host(sizes[i]);
        }
        d.dial_fd = host;
        drv_release(&d);
        return 0;
}
