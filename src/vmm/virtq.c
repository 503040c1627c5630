/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtq.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

/*
 * The guest's vCPUs read and write these fields at the same time. Each access is a single atomic
 * load or store: it is never torn, and the compiler cannot read a value again after it was checked.
 */
#define GUEST_READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define GUEST_READ_ACQUIRE(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define GUEST_WRITE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define GUEST_WRITE_RELEASE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

/* The fields in which each side asks to be notified at a certain index (EVENT_IDX). */
static uint16_t *used_event(const struct virtq *q)
{
        return (uint16_t *)&q->avail->ring[q->num];
}

static uint16_t *avail_event(const struct virtq *q)
{
        return (uint16_t *)&q->used->ring[q->num];
}

void virtq_stop(struct virtq *q)
{
        q->ready = false;
        q->desc = NULL;
        q->avail = NULL;
        q->used = NULL;
}

void virtq_release(struct virtq *q)
{
        close_fd(&q->kick_fd);
        close_fd(&q->call_fd);
        *q = VIRTQ_INIT;
}

int virtq_start(struct virtq *q, const struct guestmem *mem, uint64_t desc, uint64_t avail,
                uint64_t used, struct err *err)
{
        uint64_t n = q->num;
        void *d, *a, *u;

        if (n == 0 || n > VIRTQ_NUM_MAX || (n & (n - 1)) != 0)
                return err_set(err, EINVAL, "ring size %u is not a power of 2 up to %d",
                               (unsigned)n, VIRTQ_NUM_MAX);
        d = guestmem_at_user(mem, desc, 16 * n);
        a = guestmem_at_user(mem, avail, 4 + 2 * n + 2);
        u = guestmem_at_user(mem, used, 4 + 8 * n + 2);
        if (!d || !a || !u)
                return err_set(err, EINVAL, "a ring lies outside the guest's memory");
        if (((uintptr_t)d & 15) || ((uintptr_t)a & 1) || ((uintptr_t)u & 3))
                return err_set(err, EINVAL, "a ring is not aligned");
        q->mem = mem;
        q->desc = d;
        q->avail = a;
        q->used = u;
        q->used_idx = GUEST_READ(q->used->idx);
        q->signalled_valid = false;
        q->ready = true;
        return 0;
}

/* Adds the memory of one descriptor to the chain, in as many pieces as it has mappings. */
static int add_piece(struct virtq *q, struct virtq_chain *c, uint64_t addr, uint32_t len,
                     bool device_writes, struct err *err)
{
        size_t *total = device_writes ? &c->in_len : &c->out_len;

        if (!device_writes && c->n_in > 0)
                return err_set(err, EPROTO, "readable descriptor after a writable one");
        if (len > VIRTQ_CHAIN_BYTES - *total)
                return err_set(err, EPROTO, "chain longer than %d bytes", VIRTQ_CHAIN_BYTES);
        *total += len;
        while (len > 0) {
                uint64_t n = 0;
                uint8_t *at = guestmem_at(q->mem, addr, len, &n);

                if (!at)
                        return err_set(err, EPROTO, "descriptor outside the guest's memory");
                if (c->n_out + c->n_in == VIRTQ_CHAIN_IOVS)
                        return err_set(err, EPROTO, "chain of more than %d pieces",
                                       VIRTQ_CHAIN_IOVS);
                c->iov[c->n_out + c->n_in] = (struct iovec){at, n};
                if (device_writes)
                        c->n_in++;
                else
                        c->n_out++;
                addr += n; /* cannot wrap, because a region ends at or below 2^64 */
                len -= (uint32_t)n;
        }
        return 0;
}

/* A descriptor table: the ring's own or an indirect one. */
struct table {
        const struct vring_desc *desc;
        uint32_t num;
        bool indirect;
};

static void read_desc(const struct vring_desc *from, struct vring_desc *ret)
{
        ret->addr = GUEST_READ(from->addr);
        ret->len = GUEST_READ(from->len);
        ret->flags = GUEST_READ(from->flags);
        ret->next = GUEST_READ(from->next);
}

/* Replaces *t by the indirect table that a descriptor points to. */
static int enter_indirect(struct virtq *q, const struct vring_desc *d, struct table *t,
                          struct err *err)
{
        uint64_t room = 0;
        uint8_t *at;

        if (!q->indirect || t->indirect || (d->flags & VRING_DESC_F_NEXT))
                return err_set(err, EPROTO, "indirect descriptor where none is allowed");
        if (d->len == 0 || d->len % 16 != 0 || d->len / 16 > VIRTQ_CHAIN_MAX)
                return err_set(err, EPROTO, "indirect table of %u bytes", d->len);
        at = guestmem_at(q->mem, d->addr, d->len, &room);
        if (!at || room < d->len || ((uintptr_t)at & 7))
                return err_set(err, EPROTO, "indirect table outside the guest's memory");
        *t = (struct table){(const void *)at, d->len / 16, true};
        return 0;
}

static int walk(struct virtq *q, struct virtq_chain *c, struct err *err)
{
        struct table t = {q->desc, q->num, false};
        uint32_t at = c->head;

        for (int count = 0; count < VIRTQ_CHAIN_MAX; count++) {
                struct vring_desc d;
                int r;

                if (at >= t.num)
                        return err_set(err, EPROTO, "descriptor %u of %u", at, t.num);
                read_desc(&t.desc[at], &d);
                if (d.flags & VRING_DESC_F_INDIRECT) {
                        r = enter_indirect(q, &d, &t, err);
                        if (r < 0)
                                return r;
                        at = 0;
                        continue;
                }
                r = add_piece(q, c, d.addr, d.len, d.flags & VRING_DESC_F_WRITE, err);
                if (r < 0)
                        return r;
                if (!(d.flags & VRING_DESC_F_NEXT))
                        return 0;
                at = d.next;
        }
        return err_set(err, EPROTO, "chain of more than %d descriptors", VIRTQ_CHAIN_MAX);
}

int virtq_pop(struct virtq *q, struct virtq_chain *ret, struct err *err)
{
        /* Pairs with the barrier of the driver, which fills an entry before it raises the index:
         * the entries below `there`, and the descriptors they name, are complete. */
        uint16_t there = GUEST_READ_ACQUIRE(q->avail->idx);
        uint16_t waiting = (uint16_t)(there - q->last_avail);
        int r;

        if (waiting == 0)
                return 0;
        if (waiting > q->num)
                return err_set(err, EPROTO, "available index %u is %u ahead in a ring of %u", there,
                               waiting, q->num);
        ret->head = GUEST_READ(q->avail->ring[q->last_avail & (q->num - 1)]);
        ret->n_out = ret->n_in = 0;
        ret->out_len = ret->in_len = 0;
        r = walk(q, ret, err);
        if (r < 0)
                return r;
        q->last_avail++;
        return 1;
}

void virtq_unpop(struct virtq *q)
{
        q->last_avail--;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
        struct vring_used_elem *e = &q->used->ring[q->used_idx & (q->num - 1)];

        GUEST_WRITE(e->id, head);
        GUEST_WRITE(e->len, written);
        q->used_idx++;
        /* A guest that reads the new index also sees the entry and the bytes in its buffers. */
        GUEST_WRITE_RELEASE(q->used->idx, q->used_idx);
}

static bool wants_signal(struct virtq *q)
{
        uint16_t old = q->signalled;
        bool valid = q->signalled_valid;

        /*
         * We publish used->idx, then read whether the guest wants an interrupt; the guest publishes
         * that, then reads used->idx. The full barrier on both sides orders each store before the
         * load that follows it. So at least one side sees the other's store: either we interrupt,
         * or the guest finds the entry by itself.
         */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (valid && old == q->used_idx)
                return false;
        q->signalled = q->used_idx;
        q->signalled_valid = true;
        if (!q->event_idx)
                return !(GUEST_READ(q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
        return !valid || vring_need_event(GUEST_READ(*used_event(q)), q->used_idx, old);
}

void virtq_signal(struct virtq *q)
{
        uint64_t one = 1;

        if (!wants_signal(q) || q->call_fd < 0)
                return;
        if (write(q->call_fd, &one, sizeof(one)) < 0)
                return; /* the counter is full, so the guest already has an interrupt pending */
}

/* A hint that saves exits. It needs no barrier, because a superfluous kick is harmless. With
 * EVENT_IDX nothing is written: once the guest's index has passed avail_event, the guest does not
 * kick again until virtq_enable_kick() advances avail_event. */
void virtq_disable_kick(struct virtq *q)
{
        if (!q->event_idx)
                GUEST_WRITE(q->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool virtq_enable_kick(struct virtq *q)
{
        if (q->event_idx)
                GUEST_WRITE(*avail_event(q), q->last_avail);
        else
                GUEST_WRITE(q->used->flags, 0);
        /* The mirror image of wants_signal(): an entry that the guest adds around this moment is
         * either followed by a kick or seen by the load below. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return GUEST_READ(q->avail->idx) != q->last_avail;
}
