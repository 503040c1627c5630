/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device: credit, packets for unknown ports, and limits. */
#include "vsock_fixture.h"

static void a_guest_that_overruns_its_credit_is_reset(void **state)
{
        static char big[8192];
        struct fixture *f = *state;
        struct vsock_header h;
        int fd = open_from_guest(f, 77);
        int small = 4096;
        bool reset = false;

        setsockopt(conns_first(&f->d.dev.conns)->src.fd, SOL_SOCKET, SO_SNDBUF, &small,
                   sizeof(small));
        drv_post_rx(&f->d, 8);
        for (int i = 0; i < 80 && !reset; i++) {
                h = drv_header(77, 52, VSOCK_OP_RW);
                h.len = sizeof(big);
                drv_send(&f->d, &h, big);
                while (drv_recv(&f->d, &h, NULL))
                        reset = reset || h.op == VSOCK_OP_RST;
                for (struct vsock_conn *c = conns_first(&f->d.dev.conns); c; c = conn_next(c))
                        assert_true(c->out_len <= VSOCK_BUF_ALLOC);
        }
        assert_true(reset);
        assert_false(f->d.dev.broken); /* an error of one stream does not affect the ring */
        assert_int_equal(f->d.dev.conns.n, 0);
        close(fd);
}

static void a_slow_host_reader_blocks_only_itself(void **state)
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
        setsockopt(conns_find(&f->d.dev.conns, 1, 52)->src.fd, SOL_SOCKET, SO_SNDBUF, &small,
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
        /* Once more than half of the buffer is free, the guest gets a credit update unasked. */
        while (drv_recv(&f->d, &h, NULL))
                assert_int_equal(h.op, VSOCK_OP_CREDIT_UPDATE);
        guest_sends(f, 1, 52, VSOCK_OP_CREDIT_REQUEST, 0, NULL);
        expect_packet(f, VSOCK_OP_CREDIT_UPDATE, &h);
        assert_int_equal(h.fwd_cnt, sent);
        close(slow);
        close(quick);
}

static void a_guest_without_credit_gets_no_more(void **state)
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
        expect_nothing(f); /* credit is requested once */
        h = drv_header(PORT, h.src_port, VSOCK_OP_CREDIT_UPDATE);
        h.buf_alloc = 1500;
        h.fwd_cnt = 1000;
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RW, &h);
        assert_int_equal(h.len, 1500);
        /* A guest that withdraws its credit, or counts inconsistently, gets nothing. */
        h = drv_header(PORT, h.src_port, VSOCK_OP_CREDIT_UPDATE);
        h.buf_alloc = 10;
        h.fwd_cnt = 999999;
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_CREDIT_REQUEST, &h);
        expect_nothing(f);
        close(fd);
}

static void packets_for_unknown_ports_are_reset(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;

        drv_post_rx(&f->d, 8);
        guest_sends(f, 1, 2, VSOCK_OP_RW, 0, "who");
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.dst_port, 1);
        assert_int_equal(h.src_port, 2);
        guest_sends(f, 1, 2, VSOCK_OP_RST, 0, NULL);
        expect_nothing(f); /* RST is never answered with RST */
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

static void a_flood_for_unknown_ports_is_held_back_and_answered(void **state)
{
        enum { N = VSOCK_RST_MAX + DRV_NUM / 2 };
        struct fixture *f = *state;
        struct vsock_header h;
        int answered = 0;

        /* Without receive buffers the answers queue up to their limit, then the device stops
         * reading the ring. */
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

static void a_wrong_packet_resets_its_stream(void **state)
{
        static const uint16_t ops[] = {VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, VSOCK_OP_INVALID, 99};
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
                int fd = open_from_guest(f, 10);

                drv_post_rx(&f->d, 1);
                guest_sends(f, 10, 52, ops[i], 0, NULL);
                expect_packet(f, VSOCK_OP_RST, NULL);
                assert_int_equal(f->d.dev.conns.n, 0);
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
                fds[n] = host_connect(f, "CONN"); /* an incomplete line: it waits */
                n++;
        }
        assert_int_equal(f->d.dev.conns.n, 400);
        f->d.dev.conns.n = VSOCK_CONN_MAX; /* pretend that there are more */
        int late = host_connect(f, "CONNECT 1\n");
        char c;

        assert_true(read(late, &c, 1) == 0 || errno == ECONNRESET);
        h = drv_header(1, 52, VSOCK_OP_REQUEST);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RST, NULL);
        f->d.dev.conns.n = 400;
        close(late);
        while (n > 0)
                close(fds[--n]);
        drv_run(&f->d);
        for (int i = 0; i < 20; i++)
                drv_run(&f->d);
        assert_int_equal(f->d.dev.conns.n, 0);
}

static void another_driver_closes_the_streams_of_the_former(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 3);

        f->d.vu.reset(f->d.vu.arg);
        expect_eof(fd);
        assert_int_equal(f->d.dev.conns.n, 0);
        close(fd);
}

static void interrupts_are_sent_only_if_wanted(void **state)
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(a_guest_that_overruns_its_credit_is_reset),
                T(a_slow_host_reader_blocks_only_itself),
                T(a_guest_without_credit_gets_no_more),
                T(packets_for_unknown_ports_are_reset),
                T(a_flood_for_unknown_ports_is_held_back_and_answered),
                T(a_wrong_packet_resets_its_stream),
                T(connections_are_bounded),
                T(another_driver_closes_the_streams_of_the_former),
                T(interrupts_are_sent_only_if_wanted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
