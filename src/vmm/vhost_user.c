/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vhost_user.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>

enum vu_request {
        VU_GET_FEATURES = 1,
        VU_SET_FEATURES = 2,
        VU_SET_OWNER = 3,
        VU_RESET_OWNER = 4,
        VU_SET_MEM_TABLE = 5,
        VU_SET_VRING_NUM = 8,
        VU_SET_VRING_ADDR = 9,
        VU_SET_VRING_BASE = 10,
        VU_GET_VRING_BASE = 11,
        VU_SET_VRING_KICK = 12,
        VU_SET_VRING_CALL = 13,
        VU_SET_VRING_ERR = 14,
        VU_GET_PROTOCOL_FEATURES = 15,
        VU_SET_PROTOCOL_FEATURES = 16,
        VU_GET_QUEUE_NUM = 17,
        VU_SET_VRING_ENABLE = 18,
        VU_GET_CONFIG = 24,
        VU_SET_CONFIG = 25,
};

enum {
        VU_VERSION = 1,
        VU_VERSION_MASK = 3,
        VU_FLAG_REPLY = 1 << 2,
        VU_FLAG_NEED_REPLY = 1 << 3,
        VU_PROTOCOL_REPLY_ACK = 3,
        VU_PROTOCOL_CONFIG = 9,
        VU_F_PROTOCOL_FEATURES = 30,
        VU_VRING_INDEX_MASK = 0xff,
        VU_VRING_NO_FD = 1 << 8,
};

#define VU_FEATURES                                                                                \
        (UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VU_F_PROTOCOL_FEATURES |               \
         UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)
#define VU_PROTOCOL_FEATURES                                                                       \
        (UINT64_C(1) << VU_PROTOCOL_REPLY_ACK | UINT64_C(1) << VU_PROTOCOL_CONFIG)

struct vu_vring_state {
        uint32_t index, num;
};

struct vu_vring_addr {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
};

struct vu_mem_table {
        uint32_t n, padding;
        struct {
                uint64_t gpa, size, user_addr, mmap_offset;
        } region[VU_FDS_MAX];
};

struct vu_config {
        uint32_t offset, size, flags;
        uint8_t bytes[256];
};

void vu_init(struct vhost_user *vu, uint64_t guest_cid)
{
        *vu = (struct vhost_user){.guest_cid = guest_cid};
        for (int i = 0; i < VU_QUEUES; i++)
                vu->ring[i] = VIRTQ_INIT;
}

static void drop_fds(struct vhost_user *vu)
{
        for (int i = 0; i < vu->n_fds; i++)
                close_fd(&vu->fds[i]);
        vu->n_fds = 0;
}

void vu_release(struct vhost_user *vu)
{
        drop_fds(vu);
        for (int i = 0; i < VU_QUEUES; i++)
                virtq_release(&vu->ring[i]);
        guestmem_release(&vu->mem);
}

bool vu_ring_is_live(const struct vhost_user *vu, int queue)
{
        return vu->ring[queue].ready && vu->enabled[queue];
}

static void notify(void (*what)(void *), const struct vhost_user *vu)
{
        if (what)
                what(vu->arg);
}

/* Starts a ring once it has memory, addresses, a size and a kick descriptor. */
static int try_start(struct vhost_user *vu, int queue, struct err *err)
{
        const struct vu_addresses *a = &vu->address[queue];
        struct virtq *q = &vu->ring[queue];

        if (q->kick_fd < 0 || !a->set || vu->mem.n == 0)
                return 0;
        q->indirect = vu->features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
        q->event_idx = vu->features >> VIRTIO_RING_F_EVENT_IDX & 1;
        return virtq_start(q, &vu->mem, a->desc, a->avail, a->used, err);
}

static int bad_size(const struct vhost_user *vu, struct err *err)
{
        return err_set(err, EPROTO, "vhost-user: request %u with %u bytes", vu->header.request,
                       vu->header.size);
}

/* Copies the payload. False if its size is different. */
static bool take_payload(const struct vhost_user *vu, void *to, size_t size)
{
        if (vu->header.size != size)
                return false;
        memcpy(to, vu->payload, size);
        return true;
}

static int set_features(struct vhost_user *vu, struct err *err)
{
        uint64_t features = 0;

        if (!take_payload(vu, &features, sizeof(features)))
                return bad_size(vu, err);
        if (features & ~VU_FEATURES)
                return err_set(err, EPROTO, "vhost-user: features 0x%llx were not offered",
                               (unsigned long long)(features & ~VU_FEATURES));
        vu->features = features;
        /* Without protocol features no message enables the rings: they are always enabled. */
        if (!(features >> VU_F_PROTOCOL_FEATURES & 1)) {
                for (int i = 0; i < VU_QUEUES; i++)
                        vu->enabled[i] = true;
        }
        return 0;
}

static int set_protocol_features(struct vhost_user *vu, struct err *err)
{
        uint64_t features = 0;

        if (!take_payload(vu, &features, sizeof(features)))
                return bad_size(vu, err);
        if (features & ~VU_PROTOCOL_FEATURES)
                return err_set(err, EPROTO, "vhost-user: protocol features were not offered");
        vu->protocol_features = features;
        return 0;
}

static int set_mem_table(struct vhost_user *vu, struct err *err)
{
        struct vu_mem_table table = {0};
        int r = 0;

        if (vu->header.size < 8 || vu->header.size > sizeof(table))
                return bad_size(vu, err);
        memcpy(&table, vu->payload, vu->header.size);
        if (table.n == 0 || table.n > VU_FDS_MAX || (int)table.n != vu->n_fds ||
            vu->header.size < 8 + table.n * sizeof(table.region[0]))
                return err_set(err, EPROTO, "vhost-user: %u memory regions, %d descriptors",
                               table.n, vu->n_fds);
        /* The rings point into the old mappings: the device stops using them, then they are
         * dropped, and only then is the memory unmapped. */
        notify(vu->stopping, vu);
        for (int i = 0; i < VU_QUEUES; i++)
                virtq_stop(&vu->ring[i]);
        guestmem_release(&vu->mem);
        for (uint32_t i = 0; i < table.n && r == 0; i++)
                r = guestmem_map(&vu->mem, table.region[i].gpa, table.region[i].size,
                                 table.region[i].user_addr, vu->fds[i], table.region[i].mmap_offset,
                                 err);
        for (int i = 0; i < VU_QUEUES && r == 0; i++)
                r = try_start(vu, i, err);
        notify(vu->changed, vu);
        return r;
}

static int get_state(const struct vhost_user *vu, struct vu_vring_state *ret, struct err *err)
{
        if (!take_payload(vu, ret, sizeof(*ret)))
                return bad_size(vu, err);
        if (ret->index >= VU_QUEUES)
                return err_set(err, EPROTO, "vhost-user: queue %u", ret->index);
        return 0;
}

static int set_vring_state(struct vhost_user *vu, struct err *err)
{
        struct vu_vring_state s = {0};
        int r = get_state(vu, &s, err);

        if (r < 0)
                return r;
        switch (vu->header.request) {
        case VU_SET_VRING_NUM:
                if (vu->ring[s.index].ready || s.num > VIRTQ_NUM_MAX)
                        return err_set(err, EPROTO, "vhost-user: ring size %u", s.num);
                vu->ring[s.index].num = (uint16_t)s.num;
                return 0;
        case VU_SET_VRING_BASE:
                if (s.num > UINT16_MAX)
                        return err_set(err, EPROTO, "vhost-user: ring base %u", s.num);
                if (vu->ring[s.index].last_avail != s.num)
                        notify(vu->reset, vu);
                vu->ring[s.index].last_avail = (uint16_t)s.num;
                return 0;
        default: /* VU_SET_VRING_ENABLE */
                vu->enabled[s.index] = s.num != 0;
                notify(vu->changed, vu);
                return 0;
        }
}

static int set_vring_addr(struct vhost_user *vu, struct err *err)
{
        struct vu_vring_addr a = {0};
        int r;

        if (!take_payload(vu, &a, sizeof(a)))
                return bad_size(vu, err);
        if (a.index >= VU_QUEUES)
                return err_set(err, EPROTO, "vhost-user: queue %u", a.index);
        vu->address[a.index] = (struct vu_addresses){a.desc, a.avail, a.used, true};
        r = try_start(vu, (int)a.index, err);
        if (r == 0)
                notify(vu->changed, vu);
        return r;
}

/* SET_VRING_KICK, _CALL and _ERR carry a queue number and at most one descriptor. */
static int set_vring_fd(struct vhost_user *vu, struct err *err)
{
        uint32_t request = vu->header.request;
        uint64_t value = 0;
        struct virtq *q;
        int fd, r = 0;

        if (!take_payload(vu, &value, sizeof(value)))
                return bad_size(vu, err);
        if ((value & VU_VRING_INDEX_MASK) >= VU_QUEUES ||
            vu->n_fds != (value & VU_VRING_NO_FD ? 0 : 1))
                return err_set(err, EPROTO,
                               "vhost-user: request %u for queue 0x%llx with %d "
                               "descriptors",
                               request, (unsigned long long)value, vu->n_fds);
        if (request == VU_SET_VRING_ERR)
                return 0; /* we log errors ourselves; the descriptor is closed with the message */
        q = &vu->ring[value & VU_VRING_INDEX_MASK];
        fd = vu->n_fds ? steal_fd(&vu->fds[0]) : -1;
        /* Neither reads nor writes of it may block us. */
        if (fd >= 0)
                fcntl(fd, F_SETFL, O_NONBLOCK);
        if (request == VU_SET_VRING_CALL) {
                close_fd(&q->call_fd);
                q->call_fd = fd;
        } else {
                /* The loop watches the old descriptor by its number, which may be reused once it is
                 * closed. So the device stops watching first. */
                notify(vu->stopping, vu);
                close_fd(&q->kick_fd);
                q->kick_fd = fd;
                if (fd < 0)
                        virtq_stop(q);
                else
                        r = try_start(vu, (int)(value & VU_VRING_INDEX_MASK), err);
        }
        notify(vu->changed, vu);
        return r;
}

static int answer(struct vhost_user *vu, int fd, const void *payload, uint32_t size,
                  struct err *err)
{
        struct vu_header h = {vu->header.request, VU_VERSION | VU_FLAG_REPLY, size};
        struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)payload, size}};
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

        if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(sizeof(h) + size))
                return err_errno(err, "vhost-user: cannot answer request %u", h.request);
        return 0;
}

static int answer_u64(struct vhost_user *vu, int fd, uint64_t value, struct err *err)
{
        return answer(vu, fd, &value, sizeof(value), err);
}

/* A request for a ring's base stops the ring. The reply is sent last: after it QEMU may rely on the
 * index and expects the ring to be out of use. */
static int get_vring_base(struct vhost_user *vu, int fd, struct err *err)
{
        struct vu_vring_state s = {0};
        struct virtq *q;
        int r = get_state(vu, &s, err);

        if (r < 0)
                return r;
        notify(vu->stopping, vu);
        q = &vu->ring[s.index];
        virtq_stop(q);
        close_fd(&q->kick_fd);
        vu->address[s.index].set = false;
        s.num = q->last_avail;
        notify(vu->changed, vu);
        return answer(vu, fd, &s, sizeof(s), err);
}

/* The device's configuration space is the guest's CID, 8 bytes. */
static int get_config(struct vhost_user *vu, int fd, struct err *err)
{
        struct vu_config c = {0};
        uint8_t space[8];

        if (vu->header.size < 12 || vu->header.size > sizeof(c))
                return bad_size(vu, err);
        memcpy(&c, vu->payload, vu->header.size);
        if (c.size > sizeof(space) || c.offset > sizeof(space) - c.size ||
            vu->header.size != 12 + c.size)
                return err_set(err, EPROTO, "vhost-user: configuration bytes %u+%u of 8", c.offset,
                               c.size);
        memcpy(space, &vu->guest_cid, sizeof(space));
        memcpy(c.bytes, space + c.offset, c.size);
        return answer(vu, fd, &c, vu->header.size, err);
}

/* Handles a request. 1: it has sent a reply; 0: the request has none of its own; -errno. */
static int act(struct vhost_user *vu, int fd, struct err *err)
{
        int r;

        switch (vu->header.request) {
        case VU_GET_FEATURES:
                r = answer_u64(vu, fd, VU_FEATURES, err);
                return r < 0 ? r : 1;
        case VU_GET_PROTOCOL_FEATURES:
                r = answer_u64(vu, fd, VU_PROTOCOL_FEATURES, err);
                return r < 0 ? r : 1;
        case VU_GET_QUEUE_NUM:
                r = answer_u64(vu, fd, VU_QUEUES, err);
                return r < 0 ? r : 1;
        case VU_GET_VRING_BASE:
                r = get_vring_base(vu, fd, err);
                return r < 0 ? r : 1;
        case VU_GET_CONFIG:
                r = get_config(vu, fd, err);
                return r < 0 ? r : 1;
        case VU_SET_FEATURES:
                return set_features(vu, err);
        case VU_SET_PROTOCOL_FEATURES:
                return set_protocol_features(vu, err);
        case VU_SET_OWNER:
        case VU_RESET_OWNER:
                return 0;
        case VU_SET_MEM_TABLE:
                return set_mem_table(vu, err);
        case VU_SET_VRING_NUM:
        case VU_SET_VRING_BASE:
        case VU_SET_VRING_ENABLE:
                return set_vring_state(vu, err);
        case VU_SET_VRING_ADDR:
                return set_vring_addr(vu, err);
        case VU_SET_VRING_KICK:
        case VU_SET_VRING_CALL:
        case VU_SET_VRING_ERR:
                return set_vring_fd(vu, err);
        default:
                return err_set(err, EPROTO, "vhost-user: unknown request %u", vu->header.request);
        }
}

static int finish_message(struct vhost_user *vu, int fd, struct err *err)
{
        bool ack = vu->header.flags & VU_FLAG_NEED_REPLY &&
                   vu->protocol_features >> VU_PROTOCOL_REPLY_ACK & 1;
        int r = act(vu, fd, err);

        if (ack && r <= 0) {
                int sent = answer_u64(vu, fd, r < 0 ? 1 : 0, r < 0 ? NULL : err);

                if (r == 0)
                        r = sent;
        }
        drop_fds(vu);
        vu->have = 0;
        return r < 0 ? r : 1;
}

/* Keeps the descriptors of one read. If there are more than a message can have, closes the excess
 * and fails. */
static int take_fds(struct vhost_user *vu, struct msghdr *m, struct err *err)
{
        bool too_many = m->msg_flags & MSG_CTRUNC;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                int n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                for (int i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof(int), sizeof(int));
                        if (vu->n_fds < VU_FDS_MAX) {
                                vu->fds[vu->n_fds++] = fd;
                        } else {
                                close(fd);
                                too_many = true;
                        }
                }
        }
        return too_many ? err_set(err, EPROTO, "vhost-user: too many descriptors") : 0;
}

int vu_receive(struct vhost_user *vu, int fd, struct err *err)
{
        char control[CMSG_SPACE(VU_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
        bool in_header = vu->have < sizeof(vu->header);
        size_t got = in_header ? vu->have : vu->have - sizeof(vu->header);
        size_t want = in_header ? sizeof(vu->header) : vu->header.size;
        struct iovec iov = {(in_header ? (uint8_t *)&vu->header : vu->payload) + got, want - got};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : err_errno(err, "vhost-user: recv");
        r = take_fds(vu, &m, err);
        if (n == 0)
                return err_set(err, ECONNRESET, "vhost-user: connection closed");
        vu->have += (size_t)n;
        if (r == 0 && vu->have == sizeof(vu->header)) {
                if ((vu->header.flags & VU_VERSION_MASK) != VU_VERSION)
                        r = err_set(err, EPROTO, "vhost-user: version %u",
                                    vu->header.flags & VU_VERSION_MASK);
                else if (vu->header.size > VU_PAYLOAD_MAX)
                        r = bad_size(vu, err);
        }
        if (r < 0) {
                drop_fds(vu);
                return r;
        }
        if (vu->have < sizeof(vu->header) || vu->have < sizeof(vu->header) + vu->header.size)
                return 1;
        return finish_message(vu, fd, err);
}
