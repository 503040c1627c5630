/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock packets (virtio 1.2, section 5.10.6). All fields little-endian, as x86-64 is. */
#pragma once

#include <stdint.h>

enum vsock_op {
        VSOCK_OP_INVALID,
        VSOCK_OP_REQUEST,
        VSOCK_OP_RESPONSE,
        VSOCK_OP_RST,
        VSOCK_OP_SHUTDOWN,
        VSOCK_OP_RW,
        VSOCK_OP_CREDIT_UPDATE,
        VSOCK_OP_CREDIT_REQUEST,
};

enum {
        VSOCK_TYPE_STREAM = 1,
        VSOCK_SHUT_RCV = 1,  /* flag of SHUTDOWN: its sender will receive no more */
        VSOCK_SHUT_SEND = 2, /* its sender will send no more */
        VSOCK_SHUT_BOTH = 3,
        VSOCK_CID_HOST = 2,
        VSOCK_CID_MIN = 3, /* smallest CID of a guest */
};

struct vsock_header {
        uint64_t src_cid;
        uint64_t dst_cid;
        uint32_t src_port;
        uint32_t dst_port;
        uint32_t len;
        uint16_t type;
        uint16_t op;
        uint32_t flags;
        uint32_t buf_alloc;
        uint32_t fwd_cnt;
} __attribute__((packed));

_Static_assert(sizeof(struct vsock_header) == 44, "virtio_vsock_hdr");
