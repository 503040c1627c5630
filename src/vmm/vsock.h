/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device: it carries streams between the guest's AF_VSOCK sockets and the host's Unix
 * sockets, as Firecracker does.
 *
 *  - Host to guest: a client connects to `uds_path`, writes "CONNECT <port>\n" and reads "OK <host
 *    port>\n" once the guest has accepted; the stream follows. End of file in place of OK means
 *    that nothing listens on that port or that a deadline passed. A CONNECT that arrives before the
 *    guest's driver has started waits for it.
 *  - Guest to host: a connection to CID 2, port P, connects to the Unix socket `<uds_path>_<P>`. If
 *    nothing listens there, the guest gets RST.
 *
 * Bytes are copied directly between guest memory and socket. Bytes that a slow host reader does not
 * take are kept in a buffer of the stream, at most VSOCK_BUF_ALLOC, which is all the credit that
 * the guest gets; other streams are not affected. Bytes that the guest does not take stay in the
 * socket. Half-close works in both directions. Everything from the guest is checked. A ring that
 * breaks a rule disables the device (one logged error, all streams closed), never the process.
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/vhost_user.h"
#include "vmm/vsock_conn.h"
#include "vmm/vsock_host.h"

enum {
        VSOCK_RST_MAX = 256,  /* RSTs for unknown streams that wait for a buffer */
        VSOCK_TX_BATCH = 256, /* packets from the guest a turn */
};

/* The ports of a packet that belongs to no stream: it is answered with RST. */
struct vsock_stranger {
        uint32_t guest_port, host_port;
};

struct vsock_device {
        struct loop *loop;
        struct vhost_user *vu;
        struct vmm_metrics *metrics;
        uint64_t guest_cid;
        bool broken;

        /* Opens the host's end of a guest's connection. Returns a non-blocking descriptor or
         * -errno. Default: vsock_dial(); tests replace it. */
        int (*dial)(struct vsock_device *dev, uint32_t port);

        struct vsock_listener listener;
        struct vsock_conns conns;
        struct loop_source kick[VU_QUEUES];
        bool tx_again;   /* the guest's ring still has packets */
        bool tx_stalled; /* no room for more RSTs: waits for RX buffers */

        struct vsock_stranger rst[VSOCK_RST_MAX];
        int rst_first, n_rst;
};

/*
 * Initialises the device and, if uds_path is not NULL, listens there. `vu` stays the caller's; its
 * callbacks are set to the device. -EADDRINUSE: the path exists; -ENAMETOOLONG.
 */
int vsock_init(struct vsock_device *dev, struct loop *loop, struct vhost_user *vu,
               struct vmm_metrics *metrics, uint64_t guest_cid, const char *uds_path,
               struct err *err);

/* Closes every stream and removes the listening socket. */
void vsock_release(struct vsock_device *dev);

/* Connects to <uds_path>_<port>. */
int vsock_dial(struct vsock_device *dev, uint32_t port);

/* Processes packets from the guest, then packets to the guest. Called by the loop when idle. */
void vsock_process(struct vsock_device *dev);
