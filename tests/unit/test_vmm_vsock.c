/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device: streams opened by either side, from beginning to end. */
#include "vsock_fixture.h"

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

static void bytes_after_the_line_belong_to_the_stream(void **state)
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

static void the_line_may_arrive_in_pieces(void **state)
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

static void an_invalid_line_ends_the_connection(void **state)
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

                /* Unread bytes make the kernel report ECONNRESET in place of end of file. */
                assert_true(read(fd, &c, 1) == 0 || errno == ECONNRESET);
                close(fd);
        }
        expect_nothing(f);
        assert_int_equal(f->d.dev.conns.n, 0);
        assert_int_equal(f->d.metrics.vsock_conns_added, 0);
}

static void a_port_without_a_guest_listener_ends_the_connection(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        int fd;

        drv_post_rx(&f->d, 2);
        fd = host_connect(f, "CONNECT 9\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        guest_sends(f, 9, h.src_port, VSOCK_OP_RST, 0, NULL);
        expect_eof(fd);
        assert_int_equal(f->d.dev.conns.n, 0);
        close(fd);
}

static void a_port_without_a_host_listener_resets_the_guest(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h = drv_header(5, 52, VSOCK_OP_REQUEST);

        f->d.dev.dial = vsock_dial; /* <uds>_52 does not exist */
        drv_post_rx(&f->d, 2);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.src_port, 52);
        assert_int_equal(h.dst_port, 5);
        assert_int_equal(f->d.dev.conns.n, 0);
}

static void the_guest_reaches_a_listener_on_the_host(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        struct vsock_header h = drv_header(5, 52, VSOCK_OP_REQUEST);
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        f->d.dev.dial = vsock_dial;
        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_52", f->uds);
        assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
        assert_int_equal(listen(listener, 1), 0);
        drv_post_rx(&f->d, 1);
        drv_send(&f->d, &h, NULL);
        expect_packet(f, VSOCK_OP_RESPONSE, NULL);
        close(listener);
        unlink(sa.sun_path);
}

static void an_early_connect_waits_for_the_driver(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        struct vsock_header h;
        int fd = host_connect(f, "CONNECT 1024\n");
        char c;

        assert_int_equal(read(fd, &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(f->d.dev.conns.timer.deadline_ns,
                         0); /* no deadline before the guest's driver has started */
        assert_int_equal(drv_start_rings(&f->d, &err), 0);
        drv_post_rx(&f->d, 1);
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_not_equal(f->d.dev.conns.timer.deadline_ns, 0);
        close(fd);
}

static void a_handshake_ends_at_its_deadline(void **state)
{
        struct fixture *f = *state;
        struct vsock_header h;
        int silent = host_connect(f, NULL);
        int asked;

        drv_post_rx(&f->d, 4);
        asked = host_connect(f, "CONNECT 8\n");
        expect_packet(f, VSOCK_OP_REQUEST, &h);
        assert_int_equal(f->d.dev.conns.n, 2);
        /* Pretend that the time has passed. */
        for (struct vsock_conn *c = conns_first(&f->d.dev.conns); c; c = conn_next(c))
                c->deadline_ns = 1;
        f->d.dev.conns.timer.expired(&f->d.dev.conns.timer);
        drv_run(&f->d);
        expect_eof(silent);
        expect_eof(asked);
        expect_packet(f, VSOCK_OP_RST, &h);
        assert_int_equal(h.dst_port, 8);
        assert_int_equal(f->d.dev.conns.n, 0);
        assert_int_equal(f->d.metrics.vsock_conns_killed, 2);
        close(silent);
        close(asked);
}

static void a_half_close_by_the_guest_reaches_the_host(void **state)
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
        /* The other direction still works. */
        assert_int_equal(write(fd, "more", 4), 4);
        drv_run(&f->d);
        assert_true(drv_recv(&f->d, &h, &payload));
        assert_int_equal(h.op, VSOCK_OP_RW);
        assert_memory_equal(payload, "more", 4);
        /* Sending after a shutdown of that direction is an error. */
        guest_sends(f, PORT, port, VSOCK_OP_RW, 0, "liar");
        expect_packet(f, VSOCK_OP_RST, NULL);
        assert_int_equal(f->d.dev.conns.n, 0);
        close(fd);
}

static void a_half_close_by_the_host_reaches_the_guest(void **state)
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
        /* After a close both directions are shut, and the guest confirms with RST. */
        close(fd);
        drv_run(&f->d);
        expect_packet(f, VSOCK_OP_SHUTDOWN, &h);
        assert_int_equal(h.flags, VSOCK_SHUT_BOTH);
        guest_sends(f, PORT, port, VSOCK_OP_RST, 0, NULL);
        expect_nothing(f);
        assert_int_equal(f->d.dev.conns.n, 0);
}

static void a_close_by_the_guest_still_delivers_its_bytes(void **state)
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
        assert_int_equal(setsockopt(conns_first(&f->d.dev.conns)->src.fd, SOL_SOCKET, SO_SNDBUF,
                                    &small, sizeof(small)),
                         0);
        while (sent < 128 * 1024) {
                h = drv_header(77, 52, VSOCK_OP_RW);
                h.len = sizeof(big);
                drv_send(&f->d, &h, big);
                sent += sizeof(big);
        }
        drv_post_rx(&f->d, 4);
        assert_true(conns_first(&f->d.dev.conns)->out_len >
                    0); /* the host has not read everything */
        guest_sends(f, 77, 52, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL);
        while (drv_recv(&f->d, &h, NULL) && h.op != VSOCK_OP_RST)
                ;
        assert_int_equal(h.op, VSOCK_OP_RST); /* immediately: its ports are free again */
        assert_null(conns_find(&f->d.dev.conns, 77, 52));
        do {
                n = read(fd, chunk, sizeof(chunk));
                got += n > 0 ? (size_t)n : 0;
                drv_run(&f->d);
        } while (n > 0);
        assert_int_equal(n, 0);
        assert_int_equal(got, sent);
        assert_int_equal(f->d.dev.conns.n, 0);
        close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(host_connects_and_both_talk),
                T(bytes_after_the_line_belong_to_the_stream),
                T(the_line_may_arrive_in_pieces),
                T(an_invalid_line_ends_the_connection),
                T(a_port_without_a_guest_listener_ends_the_connection),
                T(a_port_without_a_host_listener_resets_the_guest),
                T(the_guest_reaches_a_listener_on_the_host),
                cmocka_unit_test_setup_teardown(an_early_connect_waits_for_the_driver,
                                                setup_without_driver, teardown),
                T(a_handshake_ends_at_its_deadline),
                T(a_half_close_by_the_guest_reaches_the_host),
                T(a_half_close_by_the_host_reaches_the_guest),
                T(a_close_by_the_guest_still_delivers_its_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
