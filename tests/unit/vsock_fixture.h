/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock device with a simulated guest driver in shared memory, and a host that uses it. */
#pragma once

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

static inline int setup_with_rings(void **state, bool rings)
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

static inline int setup(void **state)
{
        return setup_with_rings(state, true);
}

static inline int setup_without_driver(void **state)
{
        return setup_with_rings(state, false);
}

static inline int teardown(void **state)
{
        struct fixture *f = *state;

        drv_release(&f->d);
        assert_int_equal(access(f->uds, F_OK), -1); /* its socket is removed */
        rmdir(f->dir);
        test_free(f);
        return 0;
}

static inline int host_connect(struct fixture *f, const char *line)
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

static inline void expect_packet(struct fixture *f, uint16_t op, struct vsock_header *ret)
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

static inline void expect_nothing(struct fixture *f)
{
        struct vsock_header h;

        assert_false(drv_recv(&f->d, &h, NULL));
}

static inline void expect_eof(int fd)
{
        char c;

        assert_int_equal(read(fd, &c, 1), 0);
}

static inline void expect_bytes(int fd, const char *want)
{
        char got[256];
        ssize_t n = read(fd, got, sizeof(got));

        assert_int_equal(n, strlen(want));
        assert_memory_equal(got, want, strlen(want));
}

/* Opens a stream from the host; *ret_port is the host's port. */
static inline int open_from_host(struct fixture *f, uint32_t *ret_port)
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

/* Opens a stream from the guest. Returns the host's end. */
static inline int open_from_guest(struct fixture *f, uint32_t guest_port)
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

static inline void guest_sends(struct fixture *f, uint32_t guest_port, uint32_t host_port,
                               uint16_t op, uint32_t flags, const char *payload)
{
        struct vsock_header h = drv_header(guest_port, host_port, op);

        h.flags = flags;
        h.len = payload ? (uint32_t)strlen(payload) : 0;
        drv_send(&f->d, &h, payload);
}
