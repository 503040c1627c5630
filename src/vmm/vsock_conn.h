/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of the vsock device (vsock.h), known by the guest's and the host's port.
 *
 *     LINE ──CONNECT──> REQUESTED ──RESPONSE──> OPEN ──both sides shut──> CLOSING ──RST──> gone
 *     guest's REQUEST ────────────────────────> OPEN ──RST──> LINGER ──flushed──> gone
 *
 * LINE: the host has not said which port it wants. LINGER: the guest is done and its ports are
 * free again, but the host has not yet read all that the guest sent. A connection is owned by the
 * device; conn_free() takes it out of everything. Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/vsock.h"

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

struct vsock_link {
        struct vsock_conn *prev, *next;
        bool linked;
};

enum { LINK_ALL, LINK_RUN, LINK_DEADLINE, LINKS };

struct vsock_conn {
        struct vsock_device *dev;
        struct loop_source src;
        enum vsock_state state;
        uint32_t guest_port, host_port;
        bool in_table;
        struct vsock_conn *bucket_next;
        struct vsock_link link[LINKS];
        uint64_t deadline_ns;
        unsigned owe;

        /* The socket, watched edge-triggered: true until it says EAGAIN. */
        bool readable, writable;
        bool hung_up;   /* the host closed it altogether */
        bool host_eof;  /* the host sends no more; said or being said to the guest */
        bool host_deaf; /* the host takes no more: what the guest sends is dropped */

        /* Credit, counters modulo 2^32 as in the packets. */
        uint32_t peer_buf_alloc, peer_fwd_cnt, sent;
        uint32_t fwd_cnt, told_fwd_cnt;
        bool asked_credit;

        bool guest_shut_send, guest_shut_rcv;
        uint32_t shutdown_flags; /* what OWE_SHUTDOWN says */

        /* Bytes from the guest that the socket did not take yet: a ring buffer. */
        char *out;
        uint32_t out_cap, out_head, out_len;
};

/* A new connection around a socket, which it owns from here on, success or not. NULL: no room. */
struct vsock_conn *conn_new(struct vsock_device *dev, int fd, enum vsock_state state);
void conn_free(struct vsock_conn *c);

/* The ports of a connection stand in the table from conn_name() to conn_unname() or its end. */
void conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port);
void conn_unname(struct vsock_conn *c);
struct vsock_conn *conn_find(struct vsock_device *dev, uint32_t guest_port, uint32_t host_port);

/* Starts, or ends, the wait for the other side. */
void conn_set_deadline(struct vsock_conn *c, bool on);

/* Puts the connection in line if it has something for the guest. */
void conn_schedule(struct vsock_conn *c);
struct vsock_conn *conn_next_runnable(struct vsock_device *dev);

/* Owes the guest a packet. RST outweighs all others. */
void conn_owe(struct vsock_conn *c, unsigned what);

/* Bytes the guest has room for. */
uint32_t conn_credit(const struct vsock_conn *c);

/* Takes `len` payload bytes from the guest. 0, or -errno: the stream is broken. */
int conn_deliver(struct vsock_conn *c, const struct iovec *iov, int n, uint32_t len);

/* The guest wants no more of this: flushes what is left for the host, then ends. May free c. */
void conn_guest_is_done(struct vsock_conn *c);

/* The guest shut down one or both directions. May free c. */
void conn_guest_shutdown(struct vsock_conn *c, uint32_t flags);

/* Kills the stream: RST to the guest, the socket closed at once. */
void conn_kill(struct vsock_conn *c);

/*
 * Fills the next packet for the guest: payload into iov (`room` bytes), *h but for the addresses.
 * 1: there is one, 0: nothing to send after all. Afterwards conn_sent() must be called if 1.
 */
int conn_fill_packet(struct vsock_conn *c, const struct iovec *iov, int n, size_t room,
                     struct vsock_header *h);

/* The packet is in the ring. May free c. */
void conn_sent(struct vsock_conn *c, const struct vsock_header *h);

/* What the host says in its first line (vsock_host.c). May free c. */
void conn_read_line(struct vsock_conn *c);

/* Listening (vsock_host.c). */
int vsock_listen(struct vsock_device *dev, struct err *err);
void vsock_listen_again(struct vsock_device *dev);
int vsock_dial_uds(struct vsock_device *dev, uint32_t port);
