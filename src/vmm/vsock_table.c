/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vsock_table.h"

#include <assert.h>
#include <stddef.h>

#define FIRST_HOST_PORT (UINT32_C(1) << 30)
#define LAST_HOST_PORT UINT32_C(0x7fffffff)

void vsock_table_init(struct vsock_table *t)
{
        *t = (struct vsock_table){.next_host_port = FIRST_HOST_PORT};
}

void vsock_table_append(struct vsock_table *t, struct vsock_entry *e, enum vsock_list_id list)
{
        struct vsock_list *l = &t->list[list];

        assert(!e->link[list].linked);
        e->link[list] = (struct vsock_link){l->last, NULL, true};
        if (l->last)
                l->last->link[list].next = e;
        else
                l->first = e;
        l->last = e;
}

void vsock_table_remove(struct vsock_table *t, struct vsock_entry *e, enum vsock_list_id list)
{
        struct vsock_list *l = &t->list[list];
        struct vsock_link *k = &e->link[list];

        if (!k->linked)
                return;
        if (k->prev)
                k->prev->link[list].next = k->next;
        else
                l->first = k->next;
        if (k->next)
                k->next->link[list].prev = k->prev;
        else
                l->last = k->prev;
        *k = (struct vsock_link){0};
}

static unsigned bucket_of(uint32_t guest_port, uint32_t host_port)
{
        return (guest_port * 2654435761u ^ host_port * 2246822519u) >> 24 & (VSOCK_BUCKETS - 1);
}

struct vsock_entry *vsock_table_find(const struct vsock_table *t, uint32_t guest_port,
                                     uint32_t host_port)
{
        struct vsock_entry *e = t->bucket[bucket_of(guest_port, host_port)];

        while (e && (e->guest_port != guest_port || e->host_port != host_port))
                e = e->bucket_next;
        return e;
}

void vsock_table_name(struct vsock_table *t, struct vsock_entry *e, uint32_t guest_port,
                      uint32_t host_port)
{
        struct vsock_entry **at = &t->bucket[bucket_of(guest_port, host_port)];

        assert(!e->named);
        e->guest_port = guest_port;
        e->host_port = host_port;
        e->bucket_next = *at;
        *at = e;
        e->named = true;
}

void vsock_table_unname(struct vsock_table *t, struct vsock_entry *e)
{
        struct vsock_entry **at = &t->bucket[bucket_of(e->guest_port, e->host_port)];

        if (!e->named)
                return;
        while (*at != e)
                at = &(*at)->bucket_next;
        *at = e->bucket_next;
        e->named = false;
}

uint32_t vsock_table_free_port(struct vsock_table *t, uint32_t guest_port)
{
        uint32_t port;

        do {
                port = t->next_host_port;
                t->next_host_port = port == LAST_HOST_PORT ? FIRST_HOST_PORT : port + 1;
        } while (vsock_table_find(t, guest_port, port));
        return port;
}
