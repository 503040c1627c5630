/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user messages from a fake QEMU over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/vhost_user.h"

enum { MEM = 1 << 20, USER = 0x10000000, CID = 77 };

struct fixture {
        struct vhost_user vu;
        int master, slave;
        int memfd;
        int changed, stopping, reset;
        struct err err;
};

static void on_changed(void *arg)
{
        ((struct fixture *)arg)->changed++;
}

static void on_stopping(void *arg)
{
        ((struct fixture *)arg)->stopping++;
}

static void on_reset(void *arg)
{
        ((struct fixture *)arg)->reset++;
}

static int setup(void **state)
{
        struct fixture *f = test_calloc(1, sizeof(*f));
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        f->master = pair[0];
        f->slave = pair[1];
        f->memfd = memfd_create("guest", MFD_CLOEXEC);
        assert_int_equal(ftruncate(f->memfd, MEM), 0);
        vu_init(&f->vu, CID);
        f->vu.changed = on_changed;
        f->vu.stopping = on_stopping;
        f->vu.reset = on_reset;
        f->vu.arg = f;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        vu_release(&f->vu);
        close_fd(&f->master);
        close_fd(&f->slave);
        close(f->memfd);
        test_free(f);
        return 0;
}

/* Sends a message with its descriptors. */
static void send_raw(struct fixture *f, uint32_t request, uint32_t flags, const void *payload,
                     uint32_t size, const int *fds, int n_fds)
{
        char control[CMSG_SPACE(16 * sizeof(int))] = {0};
        struct vu_header h = {request, flags, size};
        struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)payload, payload ? size : 0}};
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

        if (n_fds) {
                struct cmsghdr *c;

                m.msg_control = control;
                m.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, (size_t)n_fds * sizeof(int));
        }
        assert_true(sendmsg(f->master, &m, 0) > 0);
}

/* Lets the back end read everything. Returns the first result that is not 1. */
static int drain(struct fixture *f)
{
        int r;

        while ((r = vu_receive(&f->vu, f->slave, &f->err)) > 0)
                ;
        return r;
}

static int tell(struct fixture *f, uint32_t request, const void *payload, uint32_t size)
{
        send_raw(f, request, 1, payload, size, NULL, 0);
        return drain(f);
}

static int send_fd(struct fixture *f, uint32_t request, uint64_t value, int fd)
{
        send_raw(f, request, 1, &value, sizeof(value), &fd, fd >= 0 ? 1 : 0);
        return drain(f);
}

static int send_u64(struct fixture *f, uint32_t request, uint64_t value)
{
        return tell(f, request, &value, sizeof(value));
}

static int send_state(struct fixture *f, uint32_t request, uint32_t index, uint32_t num)
{
        uint32_t s[2] = {index, num};

        return tell(f, request, s, sizeof(s));
}

static uint64_t reply_u64(struct fixture *f, uint32_t request)
{
        struct vu_header h;
        uint64_t v;

        assert_int_equal(recv(f->master, &h, sizeof(h), MSG_DONTWAIT), sizeof(h));
        assert_int_equal(h.request, request);
        assert_int_equal(h.flags, 1 | 4);
        assert_int_equal(h.size, 8);
        assert_int_equal(recv(f->master, &v, sizeof(v), MSG_DONTWAIT), sizeof(v));
        return v;
}

static void no_reply(struct fixture *f)
{
        char c;

        assert_int_equal(recv(f->master, &c, 1, MSG_DONTWAIT), -1);
}

struct region {
        uint64_t gpa, size, user, offset;
};

static int send_memory(struct fixture *f, const struct region *r, int n)
{
        uint8_t payload[8 + 8 * sizeof(*r)] = {0};
        uint32_t count = (uint32_t)n;
        int fds[8];

        memcpy(payload, &count, sizeof(count));
        memcpy(payload + 8, r, (size_t)n * sizeof(*r));
        for (int i = 0; i < n; i++)
                fds[i] = f->memfd;
        send_raw(f, 5, 1, payload, 8 + (uint32_t)((size_t)n * sizeof(*r)), fds, n);
        return drain(f);
}

/* Two regions of one file, as QEMU sends them for a microvm. */
static const struct region two[] = {{0, 0x80000, USER, 0},
                                    {0x100000, 0x80000, USER + 0x80000, 0x80000}};

static int send_addr(struct fixture *f, uint32_t index, uint64_t desc, uint64_t used,
                     uint64_t avail)
{
        struct {
                uint32_t index, flags;
                uint64_t desc, used, avail, log;
        } a = {index, 0, desc, used, avail, 0};

        return tell(f, 9, &a, sizeof(a));
}

static void start_ring(struct fixture *f, uint32_t i)
{
        int kick = eventfd(0, EFD_CLOEXEC), call = eventfd(0, EFD_CLOEXEC);
        uint64_t at = USER + i * 0x4000;

        assert_int_equal(send_state(f, 8, i, 128), 0);
        assert_int_equal(send_state(f, 10, i, 0), 0);
        assert_int_equal(send_addr(f, i, at, at + 0x2000, at + 0x1000), 0);
        assert_int_equal(send_fd(f, 12, i, kick), 0);
        assert_int_equal(send_fd(f, 13, i, call), 0);
        assert_int_equal(send_state(f, 18, i, 1), 0);
        close(kick);
        close(call);
}

static void features_are_offered_and_accepted(void **state)
{
        struct fixture *f = *state;
        uint64_t features;

        assert_int_equal(tell(f, 1, NULL, 0), 0);
        features = reply_u64(f, 1);
        assert_true(features >> 32 & 1); /* VERSION_1 */
        assert_true(features >> 30 & 1); /* PROTOCOL_FEATURES */
        assert_true(features >> 28 & 1); /* INDIRECT_DESC */
        assert_int_equal(send_u64(f, 2, features), 0);
        assert_int_equal(tell(f, 15, NULL, 0), 0);
        assert_int_equal(reply_u64(f, 15), 1 << 3 | 1 << 9);
        assert_int_equal(send_u64(f, 16, 1 << 3 | 1 << 9), 0);
        assert_int_equal(tell(f, 17, NULL, 0), 0);
        assert_int_equal(reply_u64(f, 17), 2);
        assert_int_equal(tell(f, 3, NULL, 0), 0);
        no_reply(f);
}

static void features_not_offered_are_refused(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(send_u64(f, 2, UINT64_C(1) << 63), -EPROTO);
        assert_non_null(strstr(f->err.msg, "not offered"));
        assert_int_equal(send_u64(f, 16, 1 << 1), -EPROTO);
}

static void a_message_is_acknowledged_on_request(void **state)
{
        struct fixture *f = *state;
        uint32_t bad[2] = {9, 1};

        send_u64(f, 16, 1 << 3);
        send_raw(f, 3, 1 | 8, NULL, 0, NULL, 0);
        assert_int_equal(drain(f), 0);
        assert_int_equal(reply_u64(f, 3), 0);
        send_raw(f, 18, 1 | 8, bad, sizeof(bad), NULL, 0);
        assert_int_equal(drain(f), -EPROTO);
        assert_int_equal(reply_u64(f, 18), 1);
}

static void the_configuration_space_is_the_cid(void **state)
{
        struct fixture *f = *state;
        struct {
                uint32_t offset, size, flags;
                uint8_t bytes[8];
        } __attribute__((packed)) c = {0, 8, 0, {0}};
        struct vu_header h;
        uint64_t cid;

        assert_int_equal(tell(f, 24, &c, 20), 0);
        assert_int_equal(recv(f->master, &h, sizeof(h), MSG_DONTWAIT), sizeof(h));
        assert_int_equal(h.size, 20);
        assert_int_equal(recv(f->master, &c, 20, MSG_DONTWAIT), 20);
        memcpy(&cid, c.bytes, sizeof(cid));
        assert_int_equal(cid, CID);
        c.offset = 1;
        assert_int_equal(tell(f, 24, &c, 20), -EPROTO);
        c.offset = UINT32_MAX;
        assert_int_equal(tell(f, 24, &c, 20), -EPROTO);
        c.offset = 0;
        c.size = 300;
        assert_int_equal(tell(f, 24, &c, 20), -EPROTO);
        assert_int_equal(tell(f, 24, &c, 4), -EPROTO);
}

static void rings_start_and_stop(void **state)
{
        struct fixture *f = *state;
        struct vu_header h;
        uint32_t s[2];

        assert_int_equal(send_u64(f, 2, UINT64_C(1) << 32 | 1 << 30 | 1 << 28), 0);
        assert_int_equal(send_memory(f, two, 2), 0);
        start_ring(f, VU_RX);
        assert_true(vu_ring_is_live(&f->vu, VU_RX));
        assert_false(vu_ring_is_live(&f->vu, VU_TX));
        start_ring(f, VU_TX);
        assert_true(vu_ring_is_live(&f->vu, VU_TX));
        assert_true(f->vu.ring[VU_TX].indirect);
        assert_false(f->vu.ring[VU_TX].event_idx);
        assert_true(f->changed > 0);
        f->vu.ring[VU_TX].last_avail = 41;
        assert_int_equal(send_state(f, 11, VU_TX, 0), 0);
        assert_int_equal(recv(f->master, &h, sizeof(h), MSG_DONTWAIT), sizeof(h));
        assert_int_equal(recv(f->master, s, sizeof(s), MSG_DONTWAIT), sizeof(s));
        assert_int_equal(s[0], VU_TX);
        assert_int_equal(s[1], 41);
        assert_false(vu_ring_is_live(&f->vu, VU_TX));
        assert_true(f->stopping > 0);
        /* A ring that continues where it stopped was paused; elsewhere it has a new driver. */
        assert_int_equal(send_state(f, 10, VU_TX, 41), 0);
        assert_int_equal(f->reset, 0);
        assert_int_equal(send_state(f, 10, VU_TX, 0), 0);
        assert_int_equal(f->reset, 1);
}

static void new_memory_restarts_the_rings(void **state)
{
        struct fixture *f = *state;
        const uint8_t *before;
        uint64_t n;

        assert_int_equal(send_memory(f, two, 2), 0);
        start_ring(f, VU_TX);
        assert_int_equal(send_u64(f, 2, 0), 0);
        before = guestmem_at(&f->vu.mem, 0x100000, 1, &n);
        assert_non_null(before);
        /* By mmap_offset the second region is the second half of the file. */
        assert_int_equal(pwrite(f->memfd, "Q", 1, 0x80000), 1);
        assert_int_equal(*before, 'Q');
        assert_int_equal(send_memory(f, two, 1), 0);
        assert_null(guestmem_at(&f->vu.mem, 0x100000, 1, &n));
        assert_true(f->vu.ring[VU_TX].ready);
}

static void bad_memory_is_refused(void **state)
{
        static const struct region bad[][2] = {
                {{0, MEM, USER, 1}, {0}},                     /* past the end of the file */
                {{0, MEM + 1, USER, 0}, {0}},                 /* larger than the file */
                {{0, 0, USER, 0}, {0}},                       /* empty */
                {{UINT64_MAX - 10, 0x1000, USER, 0}, {0}},    /* wraps around */
                {{0, 0x1000, UINT64_MAX - 10, 0}, {0}},       /* so does this */
                {{0, 0x1000, USER, UINT64_MAX - 0xfff}, {0}}, /* and this */
                {{0, 0x2000, USER, 0}, {0x1000, 0x1000, USER + 0x8000, 0}}, /* overlap */
                {{0, 0x2000, USER, 0}, {0x8000, 0x1000, USER + 0x1000, 0}}, /* overlap too */
        };
        struct fixture *f = *state;
        int fd = f->memfd;
        uint64_t none[1] = {0};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_true(send_memory(f, bad[i], bad[i][1].size ? 2 : 1) < 0);
        /* Fewer descriptors than regions; no region at all. */
        send_raw(f, 5, 1, two, 8 + 32, &fd, 1);
        assert_true(drain(f) < 0);
        send_raw(f, 5, 1, none, 8, NULL, 0);
        assert_int_equal(drain(f), -EPROTO);
}

static void bad_rings_are_refused(void **state)
{
        struct fixture *f = *state;
        int kick = eventfd(0, EFD_CLOEXEC);

        assert_int_equal(send_memory(f, two, 2), 0);
        assert_int_equal(send_state(f, 8, 2, 128), -EPROTO);
        assert_int_equal(send_state(f, 8, 0, VIRTQ_NUM_MAX + 1), -EPROTO);
        assert_int_equal(send_state(f, 10, 0, 65536), -EPROTO);
        assert_int_equal(send_addr(f, 5, 0, 0, 0), -EPROTO);
        assert_int_equal(send_state(f, 8, 0, 100), 0); /* not a power of 2: an error at the start */
        assert_int_equal(send_fd(f, 12, 0, kick), 0);
        assert_int_equal(send_addr(f, 0, USER, USER + 0x2000, USER + 0x1000), -EINVAL);
        assert_int_equal(send_state(f, 8, 0, 128), 0);
        assert_int_equal(send_addr(f, 0, 1, 2, 3), -EINVAL);
        assert_int_equal(send_addr(f, 0, USER + 8, USER + 0x2000, USER + 0x1000), -EINVAL);
        assert_int_equal(send_addr(f, 0, USER + MEM - 64, USER + 0x2000, USER + 0x1000), -EINVAL);
        assert_int_equal(send_addr(f, 0, UINT64_MAX - 15, USER + 0x2000, USER + 0x1000), -EINVAL);
        assert_false(f->vu.ring[0].ready);
        assert_int_equal(send_addr(f, 0, USER, USER + 0x2000, USER + 0x1000), 0);
        assert_true(f->vu.ring[0].ready);
        close(kick);
}

static void bad_descriptors_are_refused(void **state)
{
        struct fixture *f = *state;
        uint64_t value = 0;
        int fds[10];

        assert_int_equal(send_u64(f, 12, 0),
                         -EPROTO); /* no descriptor although one was announced */
        assert_int_equal(send_u64(f, 12, 7), -EPROTO);
        assert_int_equal(send_u64(f, 13, 1 << 8), 0); /* "no descriptor" */
        for (int i = 0; i < 10; i++)
                fds[i] = f->memfd;
        send_raw(f, 12, 1, &value, sizeof(value), fds, 2);
        assert_int_equal(drain(f), -EPROTO);
        send_raw(f, 12, 1, &value, sizeof(value), fds, 10);
        assert_int_equal(drain(f), -EPROTO);
        assert_int_equal(f->vu.n_fds, 0);
}

static void messages_may_arrive_byte_by_byte(void **state)
{
        struct fixture *f = *state;
        struct {
                struct vu_header h;
                uint64_t v;
        } __attribute__((packed)) m = {{16, 1, 8}, 1 << 3};

        for (size_t i = 0; i < sizeof(m); i++) {
                assert_int_equal(f->vu.protocol_features, 0);
                assert_int_equal(write(f->master, (char *)&m + i, 1), 1);
                assert_int_equal(drain(f), 0);
        }
        assert_int_equal(f->vu.protocol_features, 1 << 3);
}

static void malformed_messages_are_refused(void **state)
{
        static const struct vu_header bad[] = {
                {1, 0, 0},          {1, 2, 0},  {1, 1, VU_PAYLOAD_MAX + 1},
                {1, 1, UINT32_MAX}, {99, 1, 0}, {0, 1, 0},
                {2, 1, 0},          {16, 1, 0}, {5, 1, 0},
                {8, 1, 0},          {9, 1, 0},  {24, 1, 0},
                {25, 1, 0}};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct fixture *f;

                setup((void **)&f);
                send_raw(f, bad[i].request, bad[i].flags, NULL, bad[i].size, NULL, 0);
                assert_int_equal(drain(f), -EPROTO);
                assert_true(f->err.msg[0] != '\0');
                teardown((void **)&f);
        }
        (void)state;
}

static void the_end_of_the_connection_is_reported(void **state)
{
        struct fixture *f = *state;

        close_fd(&f->master);
        assert_int_equal(drain(f), -ECONNRESET);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(features_are_offered_and_accepted),
                T(features_not_offered_are_refused),
                T(a_message_is_acknowledged_on_request),
                T(the_configuration_space_is_the_cid),
                T(rings_start_and_stop),
                T(new_memory_restarts_the_rings),
                T(bad_memory_is_refused),
                T(bad_rings_are_refused),
                T(bad_descriptors_are_refused),
                T(messages_may_arrive_byte_by_byte),
                cmocka_unit_test(malformed_messages_are_refused),
                T(the_end_of_the_connection_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
