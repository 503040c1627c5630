/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of a vsock device: found by their two ports, and kept in three lists.
 *
 * A stream embeds a struct vsock_entry as its first member; the table only links entries. Pure
 * data. Thread rule: one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { VSOCK_BUCKETS = 256 };

enum vsock_list_id {
        VSOCK_ALL,      /* every stream */
        VSOCK_RUN,      /* streams with a packet for the guest, in the order of their turns */
        VSOCK_DEADLINE, /* streams that wait for the other side, oldest first: all wait equally long */
        VSOCK_LISTS,
};

struct vsock_link {
        struct vsock_entry *prev, *next;
        bool linked;
};

struct vsock_entry {
        uint32_t guest_port, host_port;
        bool named; /* found by these ports */
        struct vsock_entry *bucket_next;
        struct vsock_link link[VSOCK_LISTS];
};

struct vsock_list {
        struct vsock_entry *first, *last;
};

struct vsock_table {
        struct vsock_entry *bucket[VSOCK_BUCKETS];
        struct vsock_list list[VSOCK_LISTS];
        uint32_t next_host_port;
};

void vsock_table_init(struct vsock_table *t);

/* Adds an entry that is not in the list at its end, or removes one if it is there. */
void vsock_table_append(struct vsock_table *t, struct vsock_entry *e, enum vsock_list_id list);
void vsock_table_remove(struct vsock_table *t, struct vsock_entry *e, enum vsock_list_id list);

/* Gives an entry its ports, by which vsock_table_find() finds it until vsock_table_unname(). */
void vsock_table_name(struct vsock_table *t, struct vsock_entry *e, uint32_t guest_port,
                      uint32_t host_port);
void vsock_table_unname(struct vsock_table *t, struct vsock_entry *e);

/* NULL: no such stream. */
struct vsock_entry *vsock_table_find(const struct vsock_table *t, uint32_t guest_port,
                                     uint32_t host_port);

/* A host port that no stream to this guest port uses: 1 << 30 and up, as in Firecracker. */
uint32_t vsock_table_free_port(struct vsock_table *t, uint32_t guest_port);
