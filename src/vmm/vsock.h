/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device: it carries streams between the guest's AF_VSOCK sockets and Unix sockets of
 * the host, in Firecracker's "hybrid" way.
 *
 *  - Host to guest: connect to `uds_path`, write "CONNECT <port>\n", read "OK <host port>\n" once
 *    the guest has accepted; from there it is the stream. End of file instead of OK: nobody listens
 *    on that port, or a deadline passed. A CONNECT that comes before the guest's driver is up waits
 *    for it.
 *  - Guest to host: a connection to CID 2, port P is one to the Unix socket `<uds_path>_<P>`;
 *    where nobody listens the guest gets RST.
 *
 * Bytes go straight between guest memory and socket. What a slow host reader does not take is kept
 * in a buffer of the connection, at most VSOCK_BUF_ALLOC bytes, which is all the credit the guest
 * is given; other connections do not notice. What the guest does not take stays in the socket.
 * Half-close works both ways. Everything from the guest is checked; a ring that breaks the rules
 * breaks the device (one logged error, all connections closed), never the process.
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/vhost_user.h"
#include "vmm/vsock_conn.h"
#include "vmm/vsock_host.h"

enum {
        VSOCK_RST_MAX = 256,  /* answers to strangers that wait for a buffer */
        VSOCK_TX_BATCH = 256, /* packets from the guest before others have their turn */
};

/* Ports of a packet that belongs to no stream. */
struct vsock_stranger {
        uint32_t guest_port, host_port;
};

struct vsock_device {
        struct loop *loop;
        struct vhost_user *vu;
        struct vmm_metrics *metrics;
        uint64_t guest_cid;
        bool broken;

        /* Opens the host's end for a guest that connects; returns a non-blocking descriptor or
         * -errno. The default connects to <uds_path>_<port>; tests put theirs here. */
        int (*dial)(struct vsock_device *dev, uint32_t port);

        struct vsock_listener listener;
        struct vsock_conns conns;
        struct loop_source kick[VU_QUEUES];
        bool tx_again;   /* the guest's ring was left with packets in it */
        bool tx_stalled; /* no room for answers to strangers: waits for RX buffers */

        struct vsock_stranger rst[VSOCK_RST_MAX];
        int rst_first, n_rst;
};

/*
 * Prepares the device; with a uds_path it listens there at once. `vu` belongs to the caller and is
 * pointed at the device. -EADDRINUSE when the path exists, -ENAMETOOLONG.
 */
int vsock_init(struct vsock_device *dev, struct loop *loop, struct vhost_user *vu,
               struct vmm_metrics *metrics, uint64_t guest_cid, const char *uds_path,
               struct err *err);

/* Closes every connection and removes the listening socket. */
void vsock_release(struct vsock_device *dev);

/* The default of `dial`. */
int vsock_dial(struct vsock_device *dev, uint32_t port);

/* Works on what is there: packets from the guest, then packets to it. Called by the loop. */
void vsock_process(struct vsock_device *dev);
