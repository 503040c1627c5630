/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end of vhost-user (QEMU, docs/interop/vhost-user.rst) for one virtio-vsock device. QEMU
 * sends the layout of the guest's memory and of the two rings, and reads the guest's CID. The
 * device (vsock.h) is notified by `changed` when a ring starts or stops, and by `stopping` before
 * memory that it uses is unmapped.
 *
 * A message that breaks the protocol ends the connection with an error. Queue 0 carries packets to
 * the guest (RX), queue 1 packets from the guest (TX); QEMU handles the event queue itself.
 *
 *     vu_init(&vu, guest_cid);
 *     while ((r = vu_receive(&vu, fd, &err)) > 0)   one message a call; 0: no more for now
 *             ;
 *
 * Thread rule: one thread.
 */
#pragma once

#include "vmm/virtq.h"

enum {
        VU_QUEUES = 2,
        VU_RX = 0,
        VU_TX = 1,
        VU_FDS_MAX = 8, /* descriptors a message */
        VU_PAYLOAD_MAX =
                512, /* bytes of a message without its header; the largest known is below 300 */
};

struct vu_header {
        uint32_t request;
        uint32_t flags;
        uint32_t size;
} __attribute__((packed));

struct vu_addresses {
        uint64_t desc, avail, used;
        bool set;
};

struct vhost_user {
        uint64_t guest_cid;
        uint64_t features; /* as negotiated */
        uint64_t protocol_features;
        struct guestmem mem;
        struct virtq ring[VU_QUEUES];
        struct vu_addresses address[VU_QUEUES];
        bool enabled[VU_QUEUES];

        void (*changed)(void *arg);  /* a ring has started, stopped, or got another kick_fd */
        void (*stopping)(void *arg); /* memory or a ring's kick_fd is about to be released */
        /* The rings restart at another index than the one they stopped at: a new driver, not a
         * pause. */
        void (*reset)(void *arg);
        void *arg;

        /* The message being received. */
        struct vu_header header;
        uint8_t payload[VU_PAYLOAD_MAX];
        size_t have; /* bytes of header and payload together */
        int fds[VU_FDS_MAX];
        int n_fds;
};

void vu_init(struct vhost_user *vu, uint64_t guest_cid);
void vu_release(struct vhost_user *vu);

/*
 * Reads from the connection; handles and answers a message that is complete. 1: call again; 0:
 * nothing more to read now; -ECONNRESET: QEMU closed the connection; another -errno: QEMU broke the
 * protocol.
 */
int vu_receive(struct vhost_user *vu, int fd, struct err *err);

/* True if the ring can be used. */
bool vu_ring_is_live(const struct vhost_user *vu, int queue);
