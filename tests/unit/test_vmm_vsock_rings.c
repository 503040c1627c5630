/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device: hostile rings. Each breaks the device, and only the device. */
#include "vsock_fixture.h"

static void expect_broken(struct fixture *f, int stream)
{
        drv_kick(&f->d, VU_TX);
        drv_kick(&f->d, VU_RX);
        assert_true(f->d.dev.broken);
        assert_int_equal(f->d.dev.conns.n, 0);
        expect_eof(stream);
        close(stream);
        stream = host_connect(f, NULL); /* later clients are disconnected, not kept waiting */
        expect_eof(stream);
        close(stream);
}

static void a_descriptor_outside_memory_breaks_the_device(void **state)
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

static void a_loop_of_descriptors_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT, 1);
        drv_desc(&f->d, VU_TX, 1, DRV_GPA + DRV_TX_BUF, 0, VRING_DESC_F_NEXT, 0);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void a_head_outside_the_ring_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_offer(&f->d, VU_TX, DRV_NUM);
        expect_broken(f, fd);
}

static void a_next_outside_the_ring_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT, 0xffff);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void an_available_index_ahead_of_the_ring_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        f->d.ring[VU_TX].avail->idx += DRV_NUM + 1;
        expect_broken(f, fd);
}

static void a_readable_descriptor_after_a_writable_one_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        drv_desc(&f->d, VU_TX, 0, DRV_GPA + DRV_TX_BUF, 44, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
                 1);
        drv_desc(&f->d, VU_TX, 1, DRV_GPA + DRV_TX_BUF, 44, 0, 0);
        drv_offer(&f->d, VU_TX, 0);
        expect_broken(f, fd);
}

static void a_receive_buffer_that_is_too_small_breaks_the_device(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);

        f->d.ring[VU_RX].next++;
        drv_desc(&f->d, VU_RX, 8, DRV_GPA + DRV_RX_BUF, 43, VRING_DESC_F_WRITE, 0);
        /* Uses the remaining buffers first. */
        drv_offer(&f->d, VU_RX, 8);
        guest_sends(f, 9, 9, VSOCK_OP_RW, 0, "a");
        guest_sends(f, 9, 9, VSOCK_OP_RW, 0, "b");
        expect_broken(f, fd);
}

static void an_invalid_indirect_table_breaks_the_device(void **state)
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

static void an_indirect_table_may_be_split_across_memory(void **state)
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

static void packets_with_a_false_length_are_dropped(void **state)
{
        struct fixture *f = *state;
        int fd = open_from_guest(f, 1);
        struct vsock_header h = drv_header(1, 52, VSOCK_OP_RW);
        char c;

        /* More payload than the chain has, then two incomplete headers: all are dropped. */
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
        assert_int_equal(f->d.ring[VU_TX].used->idx, 4); /* REQUEST and these three were returned */
        assert_int_equal(read(fd, &c, 1), -1);
        close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_descriptor_outside_memory_breaks_the_device),
                T(a_loop_of_descriptors_breaks_the_device),
                T(a_head_outside_the_ring_breaks_the_device),
                T(a_next_outside_the_ring_breaks_the_device),
                T(an_available_index_ahead_of_the_ring_breaks_the_device),
                T(a_readable_descriptor_after_a_writable_one_breaks_the_device),
                T(a_receive_buffer_that_is_too_small_breaks_the_device),
                cmocka_unit_test(an_invalid_indirect_table_breaks_the_device),
                T(an_indirect_table_may_be_split_across_memory),
                T(packets_with_a_false_length_are_dropped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
