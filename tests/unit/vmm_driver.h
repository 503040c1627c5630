/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's virtio-vsock driver for tests and fuzz targets. Its rings and buffers are in a memfd
 * that the device under test maps, in place of the memory that QEMU announces over vhost-user.
 */
#pragma once

#include "base/cleanup.h"
#include "vmm/vsock.h"
#include "vmm/vsock_conn.h"

#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
        DRV_CID = 42,
        DRV_NUM = 64,
        DRV_GPA = 0x100000,
        DRV_MEM = 2 << 20,
        DRV_TX_BUF = 0x20000, /* offset of slot 0; each slot below */
        DRV_RX_BUF = 0x120000,
        DRV_TX_SLOT = 0x4000,
        DRV_RX_SLOT = 0x2000,
        DRV_RX_DATA = 4096,
};

#define DRV_USER UINT64_C(0x7f0000000000)

struct drv_ring {
        struct vring_desc *desc;
        struct vring_avail *avail;
        struct vring_used *used;
        uint16_t next, seen;
};

struct driver {
        struct loop loop;
        struct vhost_user vu;
        struct vmm_metrics metrics;
        struct vsock_device dev;
        int memfd;
        uint8_t *mem;
        struct drv_ring ring[VU_QUEUES];
        int dial_fd; /* the host's end of the last connection by the guest */
        int dial_error;
};

static inline uint64_t drv_ring_at(int queue, int part)
{
        return (uint64_t)queue * 0x2000 + (uint64_t)part * 0x800;
}

/* Replaces the Unix socket by a socket pair, whose other end the test reads. */
static inline int drv_dial(struct vsock_device *dev, uint32_t port)
{
        struct driver *d = (struct driver *)((char *)dev - offsetof(struct driver, dev));
        int pair[2];

        (void)port;
        if (d->dial_error)
                return -d->dial_error;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        close_fd(&d->dial_fd);
        d->dial_fd = pair[1];
        return pair[0];
}

static inline int drv_start_rings(struct driver *d, struct err *err)
{
        for (int i = 0; i < VU_QUEUES; i++) {
                struct virtq *q = &d->vu.ring[i];
                uint64_t at = DRV_USER;
                int r;

                q->num = DRV_NUM;
                q->indirect = true;
                r = virtq_start(q, &d->vu.mem, at + drv_ring_at(i, 0), at + drv_ring_at(i, 1),
                                at + drv_ring_at(i, 2), err);
                if (r < 0)
                        return r;
                d->vu.enabled[i] = true;
        }
        d->vu.changed(d->vu.arg);
        return 0;
}

static inline int drv_init(struct driver *d, const char *uds_path)
{
        struct err err = ERR_INIT;

        memset(d, 0, sizeof(*d));
        d->dial_fd = -1;
        d->memfd = memfd_create("guest", MFD_CLOEXEC);
        if (d->memfd < 0 || ftruncate(d->memfd, DRV_MEM) < 0 || loop_init(&d->loop, &err) < 0)
                return -1;
        d->mem = mmap(NULL, DRV_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, d->memfd, 0);
        vu_init(&d->vu, DRV_CID);
        if (d->mem == MAP_FAILED ||
            vsock_init(&d->dev, &d->loop, &d->vu, &d->metrics, DRV_CID, uds_path, &err) < 0)
                return -1;
        d->dev.dial = drv_dial;
        if (guestmem_map(&d->vu.mem, DRV_GPA, DRV_MEM, DRV_USER, d->memfd, 0, &err) < 0)
                return -1;
        for (int i = 0; i < VU_QUEUES; i++) {
                d->ring[i].desc = (void *)(d->mem + drv_ring_at(i, 0));
                d->ring[i].avail = (void *)(d->mem + drv_ring_at(i, 1));
                d->ring[i].used = (void *)(d->mem + drv_ring_at(i, 2));
                d->vu.ring[i].kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
                d->vu.ring[i].call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        }
        return 0;
}

static inline void drv_release(struct driver *d)
{
        vsock_release(&d->dev);
        vu_release(&d->vu);
        loop_release(&d->loop);
        close_fd(&d->dial_fd);
        munmap(d->mem, DRV_MEM);
        close(d->memfd);
}

/* Runs the loop until the device has nothing more to do. */
static inline void drv_run(struct driver *d)
{
        for (int i = 0; i < 8; i++) {
                d->loop.busy = true; /* do not sleep */
                loop_turn(&d->loop, NULL);
                vsock_process(&d->dev);
        }
}

static inline void drv_kick(struct driver *d, int queue)
{
        uint64_t one = 1;

        if (write(d->vu.ring[queue].kick_fd, &one, sizeof(one)) < 0)
                abort();
        drv_run(d);
}

static inline void drv_offer(struct driver *d, int queue, uint16_t head)
{
        struct drv_ring *r = &d->ring[queue];

        r->avail->ring[r->avail->idx % DRV_NUM] = head;
        __atomic_store_n(&r->avail->idx, (uint16_t)(r->avail->idx + 1), __ATOMIC_RELEASE);
}

static inline void drv_desc(struct driver *d, int queue, uint16_t i, uint64_t addr, uint32_t len,
                            uint16_t flags, uint16_t next)
{
        d->ring[queue].desc[i] =
                (struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

/* Offers n receive buffers, each a header and a page, as Linux 6.1 does. */
static inline void drv_post_rx(struct driver *d, int n)
{
        for (int i = 0; i < n; i++) {
                uint16_t slot = (uint16_t)(d->ring[VU_RX].next++ % (DRV_NUM / 2));
                uint64_t at = DRV_GPA + DRV_RX_BUF + (uint64_t)slot * DRV_RX_SLOT;
                uint16_t head = (uint16_t)(slot * 2);

                drv_desc(d, VU_RX, head, at, sizeof(struct vsock_header),
                         VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, (uint16_t)(head + 1));
                drv_desc(d, VU_RX, (uint16_t)(head + 1), at + 64, DRV_RX_DATA, VRING_DESC_F_WRITE,
                         0);
                drv_offer(d, VU_RX, head);
        }
        drv_kick(d, VU_RX);
}

/* Puts a packet into the ring without kicking the device. */
static inline void drv_put_tx(struct driver *d, const struct vsock_header *h, const void *payload)
{
        uint16_t slot = (uint16_t)(d->ring[VU_TX].next++ % (DRV_NUM / 2));
        uint64_t off = DRV_TX_BUF + (uint64_t)slot * DRV_TX_SLOT;
        uint16_t head = (uint16_t)(slot * 2);

        memcpy(d->mem + off, h, sizeof(*h));
        if (h->len && payload)
                memcpy(d->mem + off + 64, payload, h->len);
        drv_desc(d, VU_TX, head, DRV_GPA + off, sizeof(*h), h->len ? VRING_DESC_F_NEXT : 0,
                 (uint16_t)(head + 1));
        drv_desc(d, VU_TX, (uint16_t)(head + 1), DRV_GPA + off + 64, h->len, 0, 0);
        drv_offer(d, VU_TX, head);
}

static inline struct vsock_header drv_header(uint32_t guest_port, uint32_t host_port, uint16_t op)
{
        return (struct vsock_header){.src_cid = DRV_CID,
                                     .dst_cid = VSOCK_CID_HOST,
                                     .src_port = guest_port,
                                     .dst_port = host_port,
                                     .type = VSOCK_TYPE_STREAM,
                                     .op = op,
                                     .buf_alloc = 1 << 16};
}

static inline void drv_send(struct driver *d, const struct vsock_header *h, const void *payload)
{
        drv_put_tx(d, h, payload);
        drv_kick(d, VU_TX);
}

/* Takes the next packet from the device and its payload. False: none. */
static inline bool drv_recv(struct driver *d, struct vsock_header *ret, const uint8_t **ret_payload)
{
        struct drv_ring *r = &d->ring[VU_RX];
        struct vring_used_elem e;
        const uint8_t *at;

        if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->seen)
                return false;
        e = r->used->ring[r->seen++ % DRV_NUM];
        at = d->mem + DRV_RX_BUF + (size_t)(e.id / 2 % (DRV_NUM / 2)) * DRV_RX_SLOT;
        memcpy(ret, at, sizeof(*ret));
        if (ret_payload)
                *ret_payload = at + 64;
        return true;
}
