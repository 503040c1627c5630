/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end's side of vhost-user (QEMU, docs/interop/vhost-user.rst) for one virtio-vsock
 * device: it learns from QEMU where the guest's memory and the two rings are, and tells it the
 * guest's CID. The device itself (vsock.h) is told through `changed` whenever a ring starts or
 * stops; `stopping` is called before memory that it uses goes away.
 *
 * QEMU is held to the protocol: a message that breaks it ends the connection with an error.
 * Queue 0 carries packets to the guest (RX), queue 1 from it (TX); QEMU keeps the event queue.
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
        VU_FDS_MAX = 8,       /* descriptors a message */
        VU_PAYLOAD_MAX = 512, /* bytes a message, header apart: the largest we take is below 300 */
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

        void (*changed)(void *arg);  /* a ring became ready, stopped, or has another kick_fd */
        void (*stopping)(void *arg); /* memory or a ring's kick_fd is about to go */
        /* The rings begin anew elsewhere than where they stopped: another driver, not a pause. */
        void (*reset)(void *arg);
        void *arg;

        /* The message that is coming in. */
        struct vu_header header;
        uint8_t payload[VU_PAYLOAD_MAX];
        size_t have; /* bytes of header and payload together */
        int fds[VU_FDS_MAX];
        int n_fds;
};

void vu_init(struct vhost_user *vu, uint64_t guest_cid);
void vu_release(struct vhost_user *vu);

/*
 * Reads from the connection and, when a message is complete, acts on it and answers. 1: go on, 0:
 * nothing more there now, -ECONNRESET: QEMU closed it, another -errno: it broke the protocol.
 */
int vu_receive(struct vhost_user *vu, int fd, struct err *err);

/* True when the ring can be worked on. */
bool vu_ring_is_live(const struct vhost_user *vu, int queue);
