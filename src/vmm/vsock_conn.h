/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of the vsock device (vsock.h), named by the guest's and the host's port.
 *
 *     LINE ──CONNECT──> REQUESTED ──RESPONSE──> OPEN ──both sides shut──> CLOSING ──RST──> gone
 *     guest's REQUEST ────────────────────────> OPEN ──RST──> LINGER ──flushed──> gone
 *
 * LINE: the client has not yet sent the port it wants. LINGER: the guest has finished and its ports
 * are free again, but the host has not yet read all that the guest sent. The set owns its streams;
 * conn_free() removes one from everything. Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/loop.h"
#include "vmm/metrics.h"
#include "vmm/vsock_packet.h"
#include "vmm/vsock_table.h"

#include <sys/uio.h>

enum {
        VSOCK_CONN_MAX = 1023,        /* streams at once, those being made included */
        VSOCK_BUF_ALLOC = 256 * 1024, /* bytes the guest may have under way, a stream */
        VSOCK_PACKET_MAX = 64 * 1024, /* payload of one packet to the guest */
        VSOCK_CONNECT_LINE_MAX = 32,  /* "CONNECT 4294967295\n" with room to spare */
};

/* For the CONNECT line, the guest's RESPONSE, and the guest's RST after a close. */
#define VSOCK_HANDSHAKE_NS UINT64_C(2000000000)

enum vsock_state { CONN_LINE, CONN_REQUESTED, CONN_OPEN, CONN_CLOSING, CONN_LINGER };

/* Packets owed to the guest, the most urgent in the lowest bit. */
enum {
        OWE_RST = 1,
        OWE_REQUEST = 2,
        OWE_RESPONSE = 4,
        OWE_CREDIT = 8,
        OWE_CREDIT_REQUEST = 16,
        OWE_SHUTDOWN = 32,
};

/* The streams of one device. */
struct vsock_conns {
        struct loop *loop;
        struct vmm_metrics *metrics;
        struct vsock_table table;
        struct loop_timer timer; /* for the first of VSOCK_DEADLINE */
        int n;
        void (*closed)(void *arg); /* a descriptor has been closed */
        void *arg;
};

struct vsock_conn {
        struct vsock_entry entry; /* first: conn_of() */
        struct vsock_conns *conns;
        struct loop_source src;
        enum vsock_state state;
        uint64_t deadline_ns;
        unsigned owe;

        /* The socket, watched edge-triggered: true until it says EAGAIN. */
        bool readable, writable;
        bool hung_up;   /* the host closed it altogether */
        bool host_eof;  /* the host sends no more; the guest has been or will be notified */
        bool host_deaf; /* the host takes no more: the guest's bytes are dropped */

        /* Credit. Counters are modulo 2^32, as in the packets. */
        uint32_t peer_buf_alloc, peer_fwd_cnt, sent;
        uint32_t fwd_cnt, sent_fwd_cnt;
        bool asked_credit;

        bool guest_shut_send, guest_shut_rcv;
        uint32_t shutdown_flags; /* the flags of OWE_SHUTDOWN */

        /* Bytes from the guest that the socket has not yet taken: a ring buffer. */
        char *out;
        uint32_t out_head, out_len;
};

void conns_init(struct vsock_conns *set, struct loop *loop, struct vmm_metrics *metrics,
                void (*closed)(void *arg), void *arg);

/* Frees all streams; the set can be used again. */
void conns_clear(struct vsock_conns *set);

/* All streams: for (c = conns_first(set); c; c = conn_next(c)). NULL after the last. */
struct vsock_conn *conns_first(const struct vsock_conns *set);
struct vsock_conn *conn_next(const struct vsock_conn *c);

/* conns_have_runnable(): true if a stream has a packet for the guest. conns_next_runnable():
 * removes the first such stream from the queue and returns it. */
bool conns_have_runnable(const struct vsock_conns *set);
struct vsock_conn *conns_next_runnable(struct vsock_conns *set);

/* A stream by its ports, from conn_name() until the guest has finished with it. NULL: none. */
struct vsock_conn *conns_find(const struct vsock_conns *set, uint32_t guest_port,
                              uint32_t host_port);

/* A new stream around a socket, which it owns from here on, success or not. NULL: no room. */
struct vsock_conn *conn_new(struct vsock_conns *set, int fd, enum vsock_state state);
void conn_free(struct vsock_conn *c);
void conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port);

/* Starts or ends the wait for the other side. */
void conn_set_deadline(struct vsock_conn *c, bool on);

/* Queues the stream if it has a packet for the guest. */
void conn_schedule(struct vsock_conn *c);

/* Owes the guest a packet. RST replaces all others. */
void conn_owe(struct vsock_conn *c, unsigned what);

/* Bytes that the guest has room for. */
uint32_t conn_credit(const struct vsock_conn *c);

/* Takes `len` payload bytes from the guest. 0, or -errno: the stream is broken. */
int conn_deliver(struct vsock_conn *c, const struct iovec *iov, int n, uint32_t len);

/* The guest has finished with the stream: flushes what is left for the host, then ends. May free
 * c. */
void conn_guest_is_done(struct vsock_conn *c);

/* The guest shut down one or both directions. May free c. */
void conn_guest_shutdown(struct vsock_conn *c, uint32_t flags);

/* Kills the stream: RST to the guest, the socket closed immediately. May free c. */
void conn_kill(struct vsock_conn *c);

/*
 * Fills the next packet for the guest: payload into iov (`room` bytes), *h except for the
 * addresses. 1: there is one, and conn_sent() must follow; 0: nothing to send after all.
 */
int conn_fill_packet(struct vsock_conn *c, const struct iovec *iov, int n, size_t room,
                     struct vsock_header *h);

/* Records that the packet from conn_fill_packet() was written to the guest's buffer, and updates
 * the state. The caller returns the buffer to the ring. May free c. */
void conn_sent(struct vsock_conn *c, const struct vsock_header *h);
