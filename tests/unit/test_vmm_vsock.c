/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device against a simulated guest driver in shared memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/un.h>

#include "vmm/logger.h"
#include "vmm_driver.h"

enum { PORT = 1024 };

struct fixture {
        struct driver d;
        char dir[32];
        char uds[64];
};

static int setup_with_rings(void **state, bool rings)
{
        struct fixture *f = test_calloc(1, sizeof(*f));
        struct err err = ERR_INIT;

        logger_set_level(LOGGER_OFF);
        snprintf(f->dir, sizeof(f->dir), "/tmp/vsock-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->uds, sizeof(f->uds), "%s/v", f->dir);
        assert_int_equal(drv_init(&f->d, f->uds), 0);
        if (rings)
                assert_int_equal(drv_start_rings(&f->d, &err), 0);
        *state = f;
        return 0;
}

static int setup(void **state)
{
        return setup_with_rings(state, true);
}

static int setup_without_driver(void **state)
{
        return setup_with_rings(state, false);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        drv_release(&f->d);
        assert_int_equal(access(f->uds, F_OK), -1); /* its socket is gone with it */
        rmdir(f->dir);
        test_free(f);
        return 0;
}

static int host_connect(struct fixture *f, const char *line)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        memcpy(sa.sun_path, f->uds, sizeof(f->uds));
        assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        if (line)
                assert_int_equal(write(fd, line, strlen(line)), strlen(line));
        drv_run(&f->d);
        return fd;
}

static void expect_packet(struct fixture *f, uint16_t op, struct vsock_header *ret)
{
        struct vsock_header h;

        assert_true(drv_recv(&f->d, &h, NULL));
        assert_int_equal(h.op, op);
        assert_int_equal(h.src_cid, VSOCK_CID_HOST);
        assert_int_equal(h.dst_cid, DRV_CID);
        assert_int_equal(h.type, VSOCK_TYPE_STREAM);
        if (ret)
                *ret = h;
}

static void expect_nothing(struct fixture *f)
{
        struct vsock_header h;

        assert_false(drv_recv(&f->d, &h, NULL));
}

static void expect_eof(int fd)
{
        char c;

        assert_int_equal(read(fd, &c, 1), 0);
}

static void expect_bytes(int fd, const char *want)
{
        char got[256];
        ssize_t n = read(fd, got, sizeof(got));

        assert_int_equal(n, strlen(want));
        assert_memory_equal(got, want, strlen(want));
}

/* A stream that the host opened; *ret_port is the host's port. */
static int open_from_host(struct fixture *f, uint32_t *ret_port)
{
        struct vsock_header h, answer;
        char ok[32], want[32];
        int fd;

        drv_post_rx(&f->d, 8);
        fd = host_connect(f, "CONNECT 1024\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_equal(h.dst_port, PORT);
        answer = drv_header(PORT, h.src_port, VSOCK_OP_RESPONSE);
        drv_send(&f->d, &answer, NULL);
        snprintf(want, sizeof(want), "OK %u\n", h.src_port);
        assert_int_equal(read(fd, ok, sizeof(ok)), strlen(want));
        assert_memory_equal(ok, want, strlen(want));
        *ret_port = h.src_port;
        return fd;
}

/* A stream that the guest opened; returns the host's end. */
static int open_from_guest(struct fixture *f, uint32_t guest_port)
{
        struct vsock_header h = drv_header(guest_port, 52, VSOCK_OP_REQUEST);

        drv_post_rx(&f->d, 2);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RESPONSE, &h);
        assert_int_equal(h.dst_port, guest_port);
        assert_int_equal(h.src_port, 52);
        assert_int_equal(h.buf_alloc, VSOCK_BUF_ALLOC);
        return steal_fd(&f->d.dial_fd);
}

static void guest_sends(struct fixture *f, uint32_t guest_port, uint32_t host_port, uint16_t op,
                        uint32_t flags, const char *payload)
{
        struct vsock_header h = drv_header(guest_port, host_port, op);

        h.flags = flags;
        h.len = payload ? (uint32_t)strlen(payload) : 0;
        drv_send(&f->d, &h, payload);
}

static void host_connects_and_both_talk(void **state)
{
        struct fixture *f = *state;
        const uint8_t *payload;
        struct vsock_header h;
        uint32_t port;
        int fd = open_from_host(f, &port);

        assert_int_equal(write(fd, "ping", 4), 4);
        drv_run(&f->d);
        assert_true(drv_recv(&f->d, &h, &payload));
        assert_int_equal(h.op, VSOCK_OP_RW);
        assert_int_equal(h.len, 4);
        assert_memory_equal(payload, "ping", 4);
        guest_sends(f, PORT, port, VSOCK_OP_RW, 0, "pong!");
        expect_bytes(fd, "pong!");
        assert_int_equal(f->d.metrics.vsock_rx_bytes_count, 4);
        assert_int_equal(f->d.metrics.vsock_tx_bytes_count, 5);
        assert_int_equal(f->d.metrics.vsock_conns_added, 1);
        close(fd);
}

static void bytes_behind_the_line_belong_to_the_stream(void **state)
{
        struct fixture *f = *state;
        const uint8_t *payload;
        struct vsock_header h;
        int fd;

        drv_post_rx(&f->d, 4);
        fd = host_connect(f, "CONNECT 7\nhello");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        expect_nothing(f);
        guest_sends(f, 7, h.src_port, VSOCK_OP_RESPONSE, 0, NULL);
        assert_true(drv_recv(&f->d, &h, &payload));
        assert_int_equal(h.op, VSOCK_OP_RW);
        assert_memory_equal(payload, "hello", 5);
        close(fd);
}

static void line_may_come_in_pieces(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        int fd;

        drv_post_rx(&f->d, 2);
        fd = host_connect(f, "CONN");
        expect_nothing(f);
        assert_int_equal(write(fd, "ECT 4294967295", 14), 14);
        drv_run(&f->d);
        expect_nothing(f);
        assert_int_equal(write(fd, "\n", 1), 1);
        drv_run(&f->d);
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_equal(h.dst_port, 4294967295u);
        close(fd);
}

static void bad_lines_end_the_connection(void **state)
{
        static const char *const lines[] = {"CONNECT\n",
                                            "CONNECT \n",
                                            "CONNECT x\n",
                                            "CONNECT 4294967296\n",
                                            "CONNECT -1\n",
                                            "GET / HTTP/1.1\n",
                                            "\n",
                                            "CONNECT 1 2\n",
                                            "CONNECT 00000000000000000000000000000000000000001\n"};
        struct fixture *f = *state;

        drv_post_rx(&f->d, 4);
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                int fd = host_connect(f, lines[i]);
                char c;

                /* What we did not read makes the kernel say ECONNRESET instead of end of file. */
                assert_true(read(fd, &c, 1) == 0 || errno == ECONNRESET);
                close(fd);
        }
        expect_nothing(f);
        assert_int_equal(f->d.dev.n_conns, 0);
        assert_int_equal(f->d.metrics.vsock_conns_added, 0);
}

static void nobody_listens_in_the_guest(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        int fd;

        drv_post_rx(&f->d, 2);
        fd = host_connect(f, "CONNECT 9\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        guest_sends(f, 9, h.src_port, VSOCK_OP_RST, 0, NULL);
        expect_eof(fd);
        assert_int_equal(f->d.dev.n_conns, 0);
        close(fd);
}

static void nobody_listens_on_the_host(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h = drv_header(5, 52, VSOCK_OP_REQUEST);

        f->d.dev.dial = vsock_dial_uds; /* <uds>_52 does not exist */
        drv_post_rx(&f->d, 2);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.src_port, 52);
        assert_int_equal(h.dst_port, 5);
        assert_int_equal(f->d.dev.n_conns, 0);
}

static void guest_reaches_a_listener(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        struct vsock_header h = drv_header(5, 52, VSOCK_OP_REQUEST);
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        f->d.dev.dial = vsock_dial_uds;
        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_52", f->uds);
        assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
        assert_int_equal(listen(listener, 1), 0);
        drv_post_rx(&f->d, 1);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RESPONSE, NULL);
        close(listener);
        unlink(sa.sun_path);
}

static void early_connect_waits_for_the_driver(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        struct vsock_header h;
        int fd = host_connect(f, "CONNECT 1024\n");
        char c;

        assert_int_equal(read(fd, &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(f->d.dev.timer.deadline_ns, 0); /* no deadline before the guest is up */
        assert_int_equal(drv_start_rings(&f->d, &err), 0);
        drv_post_rx(&f->d, 1);
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_not_equal(f->d.dev.timer.deadline_ns, 0);
        close(fd);
}

static void deadlines_end_handshakes(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        int silent = host_connect(f, NULL);
        int asked;

        drv_post_rx(&f->d, 4);
        asked = host_connect(f, "CONNECT 8\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_equal(f->d.dev.n_conns, 2);
        /* As if the time had passed. */
        for (struct vsock_conn *c = f->d.dev.all.first; c; c = c->link[LINK_ALL].next)
                c->deadline_ns = 1;
        f->d.dev.timer.expired(&f->d.dev.timer);
        drv_run(&f->d);
        expect_eof(silent);
        expect_eof(asked);
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.dst_port, 8);
        assert_int_equal(f->d.dev.n_conns, 0);
        assert_int_equal(f->d.metrics.vsock_conns_killed, 2);
        close(silent);
        close(asked);
}

static void half_close_by_the_guest(void **state)
{
        struct fixture *f = *state;
        const uint8_t *payload;
        struct vsock_header h;
        uint32_t port;
        int fd = open_from_host(f, &port);

        guest_sends(f, PORT, port, VSOCK_OP_RW, 0, "last");
        guest_sends(f, PORT, port, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND, NULL);
        expect_bytes(fd, "last");
        expect_eof(fd);
        /* The other direction goes on. */
        assert_int_equal(write(fd, "more", 4), 4);
        drv_run(&f->d);
        assert_true(drv_recv(&f->d, &h, &payload));
        assert_int_equal(h.op, VSOCK_OP_RW);
        assert_memory_equal(payload, "more", 4);
        /* Sending after having said that one will not is a fault. */
        guest_sends(f, PORT, port, VSOCK_OP_RW, 0, "liar");
        expect_packet(f, VSOCK_OP_RST, NULL);
        assert_int_equal(f->d.dev.n_conns, 0);
        close(fd);
}

static void half_close_by_the_host(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        uint32_t port;
        int fd = open_from_host(f, &port);

        assert_int_equal(write(fd, "eof", 3), 3);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        drv_run(&f->d);
        expect_packet(f, VSOCK_OP_RW, &h);
        expect_packet(f, VSOCK_OP_SHUTDOWN, &h);
        assert_int_equal(h.flags, VSOCK_SHUT_SEND);
        guest_sends(f, PORT, port, VSOCK_OP_RW, 0, "answer");
        expect_bytes(fd, "answer");
        /* And closed altogether: nothing can move any more, the guest confirms with RST. */
        close(fd);
        drv_run(&f->d);
        expect_packet(f, VSOCK_OP_SHUTDOWN, &h);
        assert_int_equal(h.flags, VSOCK_SHUT_BOTH);
        guest_sends(f, PORT, port, VSOCK_OP_RST, 0, NULL);
        expect_nothing(f);
        assert_int_equal(f->d.dev.n_conns, 0);
}

static void close_by_the_guest_delivers_what_it_sent(void **state)
{
        static char big[8192];
        struct fixture *f = *state;
        struct vsock_header h;
        int fd = open_from_guest(f, 77);
        size_t sent = 0, got = 0;
        int small = 4096;
        char chunk[4096];
        ssize_t n;

        memset(big, 'z', sizeof(big));
        assert_int_equal(setsockopt(f->d.dev.all.first->src.fd, SOL_SOCKET, SO_SNDBUF, &small,
                                    sizeof(small)),
                         0);
        while (sent < 128 * 1024) {
                h = drv_header(77, 52, VSOCK_OP_RW);
                h.len = sizeof(big);
                drv_send(&f->d, &h, big);
                sent += sizeof(big);
        }
        drv_post_rx(&f->d, 4);
        assert_true(f->d.dev.all.first->out_len > 0); /* the host has not read it all */
        guest_sends(f, 77, 52, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL);
        while (drv_recv(&f->d, &h, NULL) && h.op != VSOCK_OP_RST)
                ;
        assert_int_equal(h.op, VSOCK_OP_RST); /* at once: its ports are free again */
        assert_null(conn_find(&f->d.dev, 77, 52));
        do {
                n = read(fd, chunk, sizeof(chunk));
                got += n > 0 ? (size_t)n : 0;
                drv_run(&f->d);
        } while (n > 0);
        assert_int_equal(n, 0);
        assert_int_equal(got, sent);
        assert_int_equal(f->d.dev.n_conns, 0);
        close(fd);
}

static void guest_that_overruns_its_credit_is_cut_off(void **state)
{
        static char big[8192];
        struct fixture *f = *state;
        struct vsock_header h;
        int fd = open_from_guest(f, 77);
        int small = 4096;
        bool reset = false;

        setsockopt(f->d.dev.all.first->src.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        drv_post_rx(&f->d, 8);
        for (int i = 0; i < 80 && !reset; i++) {
                h = drv_header(77, 52, VSOCK_OP_RW);
                h.len = sizeof(big);
                drv_send(&f->d, &h, big);
                while (drv_recv(&f->d, &h, NULL))
                        reset = reset || h.op == VSOCK_OP_RST;
                for (struct vsock_conn *c = f->d.dev.all.first; c; c = c->link[LINK_ALL].next)
                        assert_true(c->out_len <= VSOCK_BUF_ALLOC);
        }
        assert_true(reset);
        assert_false(f->d.dev.broken); /* one stream's fault is not the ring's */
        assert_int_equal(f->d.dev.n_conns, 0);
        close(fd);
}

static void slow_host_reader_blocks_only_itself(void **state)
{
        static char big[8192];
        struct fixture *f = *state;
        struct vsock_header h;
        int slow = open_from_guest(f, 1);
        int quick = open_from_guest(f, 2);
        int small = 4096;
        size_t got = 0, sent = 0;
        uint32_t granted;
        char chunk[8192];
        ssize_t n;

        drv_post_rx(&f->d, 16);
        setsockopt(conn_find(&f->d.dev, 1, 52)->src.fd, SOL_SOCKET, SO_SNDBUF, &small,
                   sizeof(small));
        for (int i = 0; i < 16; i++, sent += sizeof(big)) {
                h = drv_header(1, 52, VSOCK_OP_RW);
                h.len = sizeof(big);
                drv_send(&f->d, &h, big);
        }
        expect_nothing(f); /* no credit: nothing was read */
        guest_sends(f, 2, 52, VSOCK_OP_RW, 0, "quick");
        expect_bytes(quick, "quick");
        guest_sends(f, 1, 52, VSOCK_OP_CREDIT_REQUEST, 0, NULL);
        expect_packet(f, VSOCK_OP_CREDIT_UPDATE, &h);
        granted = h.fwd_cnt;
        assert_true(granted < sent);
        while ((n = read(slow, chunk, sizeof(chunk))) > 0) {
                got += (size_t)n;
                drv_run(&f->d);
        }
        assert_int_equal(got, sent);
        /* With more than half of the buffer free again the guest is told by itself. */
        while (drv_recv(&f->d, &h, NULL))
                assert_int_equal(h.op, VSOCK_OP_CREDIT_UPDATE);
        guest_sends(f, 1, 52, VSOCK_OP_CREDIT_REQUEST, 0, NULL);
        expect_packet(f, VSOCK_OP_CREDIT_UPDATE, &h);
        assert_int_equal(h.fwd_cnt, sent);
        close(slow);
        close(quick);
}

static void guest_without_room_gets_no_more(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        char data[3000] = "x";
        int fd;

        drv_post_rx(&f->d, 8);
        fd = host_connect(f, "CONNECT 1024\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        h = drv_header(PORT, h.src_port, VSOCK_OP_RESPONSE);
        h.buf_alloc = 1000;
        drv_send(&f->d, &h, NULL);
        assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
        drv_run(&f->d);
        expect_packet(f, VSOCK_OP_RW, &h);
        assert_int_equal(h.len, 1000);
        expect_packet(f, VSOCK_OP_CREDIT_REQUEST, &h);
        expect_nothing(f); /* asked once */
        h = drv_header(PORT, h.src_port, VSOCK_OP_CREDIT_UPDATE);
        h.buf_alloc = 1500;
        h.fwd_cnt = 1000;
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RW, &h);
        assert_int_equal(h.len, 1500);
        /* A guest that takes its credit back, or counts nonsense, has none. */
        h = drv_header(PORT, h.src_port, VSOCK_OP_CREDIT_UPDATE);
        h.buf_alloc = 10;
        h.fwd_cnt = 999999;
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_CREDIT_REQUEST, &h);
        expect_nothing(f);
        close(fd);
}

static void packets_of_strangers(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;

        drv_post_rx(&f->d, 8);
        guest_sends(f, 1, 2, VSOCK_OP_RW, 0, "who");
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.dst_port, 1);
        assert_int_equal(h.src_port, 2);
        guest_sends(f, 1, 2, VSOCK_OP_RST, 0, NULL);
        expect_nothing(f); /* RST is never answered by RST */
        h = drv_header(1, 2, VSOCK_OP_REQUEST);
        h.type = 2; /* SEQPACKET */
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RST, NULL);
        h = drv_header(1, 2, VSOCK_OP_REQUEST);
        h.src_cid = DRV_CID + 1;
        drv_send(&f->d, &h, NULL);
        h = drv_header(1, 2, VSOCK_OP_REQUEST);
        h.dst_cid = 1;
        drv_send(&f->d, &h, NULL);
        expect_nothing(f);
        assert_int_equal(f->d.metrics.vsock_tx_queue_event_fails, 2);
}

static void floods_of_strangers_are_held_back_and_lose_nothing(void **state)
{
        enum { N = VSOCK_RST_MAX + DRV_NUM / 2 };
        struct fixture *f = *state;
        struct vsock_header h;
        int answered = 0;

        /* No receive buffer: the answers pile up to their bound, then the ring is left alone. */
        for (int i = 0; i < N; i++) {
                h = drv_header((uint32_t)i, 1, VSOCK_OP_RW);
                drv_put_tx(&f->d, &h, NULL);
                drv_kick(&f->d, VU_TX);
        }
        assert_int_equal(f->d.dev.n_rst, VSOCK_RST_MAX);
        assert_int_equal(f->d.ring[VU_TX].used->idx, VSOCK_RST_MAX);
        for (int i = 0; i < N; i++) {
                drv_post_rx(&f->d, 1);
                while (drv_recv(&f->d, &h, NULL)) {
                        assert_int_equal(h.op, VSOCK_OP_RST);
                        assert_int_equal(h.dst_port, answered);
                        answered++;
                }
        }
        assert_int_equal(answered, N);
}

static void wrong_packets_for_a_stream_reset_it(void **state)
{
        static const uint16_t ops[] = {VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, VSOCK_OP_INVALID, 99};
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
                int fd = open_from_guest(f, 10);

                drv_post_rx(&f->d, 1);
                guest_sends(f, 10, 52, ops[i], 0, NULL);
                expect_packet(f, VSOCK_OP_RST, NULL);
                assert_int_equal(f->d.dev.n_conns, 0);
                expect_eof(fd);
                close(fd);
        }
}

static void connections_are_bounded(void **state)
{
        struct fixture *f = *state;
        int fds[VSOCK_CONN_MAX];
        struct vsock_header h;
        int n = 0;

        drv_post_rx(&f->d, 16);
        while (n < 400) {
                fds[n] = host_connect(f, "CONN"); /* no whole line: it waits */
                n++;
        }
        assert_int_equal(f->d.dev.n_conns, 400);
        f->d.dev.n_conns = VSOCK_CONN_MAX; /* as if the others were there too */
        int late = host_connect(f, "CONNECT 1\n");
        char c;

        assert_true(read(late, &c, 1) == 0 || errno == ECONNRESET);
        h = drv_header(1, 52, VSOCK_OP_REQUEST);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RST, NULL);
        f->d.dev.n_conns = 400;
        close(late);
        while (n > 0)
                close(fds[--n]);
        drv_run(&f->d);
        for (int i = 0; i < 20; i++)
                drv_run(&f->d);
        assert_int_equal(f->d.dev.n_conns, 0);
}

static void another_driver_starts_anew(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 3);

        f->d.vu.reset(f->d.vu.arg);
        expect_eof(fd);
        assert_int_equal(f->d.dev.n_conns, 0);
        close(fd);
}

static void interrupts_only_who_wants_them(void **state)
{
        struct fixture *f = *state;
        uint64_t count;

        f->d.ring[VU_RX].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
        drv_post_rx(&f->d, 2);
        guest_sends(f, 1, 2, VSOCK_OP_RW, 0, "x");
        expect_packet(f, VSOCK_OP_RST, NULL);
        assert_int_equal(read(f->d.vu.ring[VU_RX].call_fd, &count, sizeof(count)), -1);
        f->d.ring[VU_RX].avail->flags = 0;
        guest_sends(f, 1, 2, VSOCK_OP_RW, 0, "x");
        assert_int_equal(read(f->d.vu.ring[VU_RX].call_fd, &count, sizeof(count)), sizeof(count));
        assert_int_equal(count, 1);
}

/* Hostile rings. Each breaks the device, and only the device. */

static void expect_broken(struct fixture *f, int stream)
{
        drv_kick(&f->d, VU_TX);
        drv_kick(&f->d, VU_RX);
        assert_true(f->d.dev.broken);
        assert_int_equal(f->d.dev.n_conns, 0);
        expect_eof(stream);
        close(stream);
        stream = host_connect(f, NULL); /* whoever comes later is turned away, not left hanging */
        expect_eof(stream);
        close(stream);
}

static void descriptor_outside_memory(void **state)
{
        static const struct {
                uint64_t addr;
                uint32_t len;
        } bad[] = {{0, 44},
                   {DRV_GPA - 1, 44},
                   {DRV_GPA + DRV_MEM, 1},
                   {DRV_GPA + DRV_MEM - 43, 44},
                   {UINT64_MAX, 1},
                   {UINT64_MAX - 10, 44},
                   {DRV_GPA, UINT32_MAX},
                   {DRV_GPA, DRV_MEM + 1}};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct fixture *f;
                int fd;

                setup(state);
                f = *state;
                fd = open_from_guest(f, 1);
                drv_desc(&f->d, VU_TX, 0, bad[i].addr, bad[i].len, 0, 0);
                drv_offer(&f->d, VU_TX, 0);
                expect_broken(f, fd);
                teardown(state);
        }
}

static void loop_of_descriptors(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT, 1);
        drv_desc(&f->d, VU_TX, 1, DRV_GPA + DRV_TX_BUF, 0, VRING_DESC_F_NEXT, 0);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void head_outside_the_ring(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_offer(&f->d, VU_TX, DRV_NUM);
        expect_broken(f, fd);
}

static void next_outside_the_ring(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT, 0xffff);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void available_index_runs_ahead(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        f->d.ring[VU_TX].avail->idx += DRV_NUM + 1;
        expect_broken(f, fd);
}

static void readable_behind_writable(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
                 1);
        drv_desc(&f->d, VU_TX, 1, DRV_GPA + DRV_TX_BUF, 44, 0, 0);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void receive_buffer_too_small(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        f->d.ring[VU_RX].next++;
        drv_desc(&f->d, VU_RX, 8, DRV_GPA + DRV_RX_BUF, 43, VRING_DESC_F_WRITE, 0);
        /* The buffers that are left first. */
        drv_offer(&f->d, VU_RX, 8);
        guest_sends(f, 9, 9, VSOCK_OP_RW, 0, "a");
        guest_sends(f, 9, 9, VSOCK_OP_RW, 0, "b");
        expect_broken(f, fd);
}

static void bad_indirect_tables(void **state)
{
        static const struct {
                uint64_t addr;
                uint32_t len;
                uint16_t flags;
        } bad[] = {{DRV_GPA + 0x8000, 0, VRING_DESC_F_INDIRECT},
                   {DRV_GPA + 0x8000, 15, VRING_DESC_F_INDIRECT},
                   {DRV_GPA + 0x8000, 16 * (VIRTQ_CHAIN_MAX + 1), VRING_DESC_F_INDIRECT},
                   {DRV_GPA + 0x8001, 16, VRING_DESC_F_INDIRECT},
                   {DRV_GPA + DRV_MEM - 8, 16, VRING_DESC_F_INDIRECT},
                   {0, 16, VRING_DESC_F_INDIRECT},
                   {DRV_GPA + 0x8000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT},
                   /* a table in a table */
                   {DRV_GPA + 0x9000, 16, VRING_DESC_F_INDIRECT}};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct vring_desc inner = {DRV_GPA + 0x9000, 16, VRING_DESC_F_INDIRECT, 0};
                struct fixture *f;
                int fd;

                setup(state);
                f = *state;
                fd = open_from_guest(f, 1);
                memcpy(f->d.mem + 0x9000, &inner, sizeof(inner));
                drv_desc(&f->d, VU_TX, 0, bad[i].addr, bad[i].len, bad[i].flags, 1);
                drv_offer(&f->d, VU_TX, 0);
                expect_broken(f, fd);
                teardown(state);
        }
}

static void good_indirect_table_in_pieces(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);
        struct vsock_header h = drv_header(1, 52, VSOCK_OP_RW);
        struct vring_desc inner[4] = {
                {DRV_GPA + 0xa000, 20, VRING_DESC_F_NEXT, 1},
                {DRV_GPA + 0xb000, 24, VRING_DESC_F_NEXT, 2},
                {DRV_GPA + 0xc000, 0, VRING_DESC_F_NEXT, 3}, /* empty pieces are skipped */
                {DRV_GPA + 0xd000, 6, 0, 0}};

        h.len = 6;
        memcpy(f->d.mem + 0xa000, &h, 20);
        memcpy(f->d.mem + 0xb000, (char *)&h + 20, 24);
        memcpy(f->d.mem + 0xd000, "pieces", 6);
        memcpy(f->d.mem + 0x8000, inner, sizeof(inner));
        drv_desc(&f->d, VU_TX, 0, DRV_GPA + 0x8000, sizeof(inner), VRING_DESC_F_INDIRECT, 0);
        drv_offer(&f->d, VU_TX, 0);
        drv_kick(&f->d, VU_TX);
        expect_bytes(fd, "pieces");
        close(fd);
}

static void lengths_that_lie(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);
        struct vsock_header h = drv_header(1, 52, VSOCK_OP_RW);
        char c;

        /* More payload than the chain holds, and no whole header: dropped, not believed. */
        h.len = 5000;
        memcpy(f->d.mem + DRV_TX_BUF, &h, sizeof(h));
        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44 + 16, 0, 0);
        drv_offer(&f->d, VU_TX, 0);
        drv_desc(&f->d, VU_TX, 1, DRV_GPA + DRV_TX_BUF, 43, 0, 0);
        drv_offer(&f->d, VU_TX, 1);
        drv_desc(&f->d, VU_TX, 2, DRV_GPA + DRV_TX_BUF, 0, 0, 0);
        drv_offer(&f->d, VU_TX, 2);
        drv_kick(&f->d, VU_TX);
        assert_false(f->d.dev.broken);
        assert_int_equal(f->d.metrics.vsock_tx_queue_event_fails, 3);
        assert_int_equal(f->d.ring[VU_TX].used->idx, 4); /* REQUEST and these three came back */
        assert_int_equal(read(fd, &c, 1), -1);
        close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(host_connects_and_both_talk),
                T(bytes_behind_the_line_belong_to_the_stream),
                T(line_may_come_in_pieces),
                T(bad_lines_end_the_connection),
                T(nobody_listens_in_the_guest),
                T(nobody_listens_on_the_host),
                T(guest_reaches_a_listener),
                cmocka_unit_test_setup_teardown(early_connect_waits_for_the_driver,
                                                setup_without_driver, teardown),
                T(deadlines_end_handshakes),
                T(half_close_by_the_guest),
                T(half_close_by_the_host),
                T(close_by_the_guest_delivers_what_it_sent),
                T(guest_that_overruns_its_credit_is_cut_off),
                T(slow_host_reader_blocks_only_itself),
                T(guest_without_room_gets_no_more),
                T(packets_of_strangers),
                T(floods_of_strangers_are_held_back_and_lose_nothing),
                T(wrong_packets_for_a_stream_reset_it),
                T(connections_are_bounded),
                T(another_driver_starts_anew),
                T(interrupts_only_who_wants_them),
                cmocka_unit_test(descriptor_outside_memory),
                T(loop_of_descriptors),
                T(head_outside_the_ring),
                T(next_outside_the_ring),
                T(available_index_runs_ahead),
                T(readable_behind_writable),
                T(receive_buffer_too_small),
                cmocka_unit_test(bad_indirect_tables),
                T(good_indirect_table_in_pieces),
                T(lengths_that_lie),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
