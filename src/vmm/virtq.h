/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of one split virtqueue (virtio 1.2, section 2.7), in memory that the guest
 * shares and may change at any moment.
 *
 * No value there is trusted. Addresses, lengths, indexes and chain lengths are checked against the
 * memory map and the ring size, and each value is read once. A ring that breaks a rule is an error,
 * -EPROTO with a message that names the rule; its owner then stops using the ring. Thread rule: one
 * thread.
 */
#pragma once

#include "vmm/guestmem.h"

#include <stdbool.h>
#include <sys/uio.h>

enum {
        VIRTQ_NUM_MAX = 1024,        /* largest ring size */
        VIRTQ_CHAIN_MAX = 256,       /* descriptors a chain, indirect ones included */
        VIRTQ_CHAIN_IOVS = 64,       /* pieces of memory a chain */
        VIRTQ_CHAIN_BYTES = 1 << 20, /* bytes a chain, each direction */
};

struct vring_desc;
struct vring_avail;
struct vring_used;

struct virtq {
        const struct guestmem *mem;
        bool ready;     /* addresses are translated: virtq_pop() and the others may be called */
        bool indirect;  /* negotiated: VIRTIO_RING_F_INDIRECT_DESC */
        bool event_idx; /* negotiated: VIRTIO_RING_F_EVENT_IDX */
        bool signalled_valid;
        uint16_t num;
        uint16_t last_avail; /* next entry of the available ring to read */
        uint16_t used_idx;   /* next entry of the used ring to fill */
        uint16_t signalled;  /* used_idx at the last signal */
        int kick_fd;         /* guest -> device; -1: none. Owned */
        int call_fd;         /* device -> guest; -1: none. Owned */
        const struct vring_desc *desc;
        struct vring_avail *avail;
        struct vring_used *used;
};

#define VIRTQ_INIT ((struct virtq){.kick_fd = -1, .call_fd = -1})

struct virtq_chain {
        uint16_t head;
        int n_out, n_in; /* pieces the device reads, then pieces it writes */
        size_t out_len, in_len;
        struct iovec iov[VIRTQ_CHAIN_IOVS];
};

/* Closes the descriptors and resets the ring to VIRTQ_INIT. */
void virtq_release(struct virtq *q);

/*
 * Translates the ring's three addresses, which are virtual addresses of the VMM; `num` is already
 * set. The used index continues at the value in guest memory. -EINVAL: bad size, alignment or
 * address.
 */
int virtq_start(struct virtq *q, const struct guestmem *mem, uint64_t desc, uint64_t avail,
                uint64_t used, struct err *err);

/* Drops the addresses. */
void virtq_stop(struct virtq *q);

/* Takes the next chain. 1: taken; 0: none available; -EPROTO: the guest broke a rule. */
int virtq_pop(struct virtq *q, struct virtq_chain *ret, struct err *err);

/* Puts back the chain that was taken last. */
void virtq_unpop(struct virtq *q);

/* Returns a chain to the guest, with `written` bytes filled in. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* Interrupts the guest if it wants that and something was pushed since the last call. */
void virtq_signal(struct virtq *q);

/* Tells the guest not to kick while the device is processing the ring. */
void virtq_disable_kick(struct virtq *q);

/* Tells the guest to kick again. True if entries arrived meanwhile: then process the ring again. */
bool virtq_enable_kick(struct virtq *q);
