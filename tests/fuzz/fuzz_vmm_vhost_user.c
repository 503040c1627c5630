/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user messages. Input: records of [descriptors][length][bytes]. The bytes are sent
 * unchanged, with that many descriptors of a memory file. Rings that start are read until they are
 * empty or broken.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/vhost_user.h"

enum { MEM = 1 << 20, FDS = 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_some(int fd, const uint8_t *bytes, size_t n, int memfd, int n_fds)
{
        char control[CMSG_SPACE(FDS * sizeof(int))] = {0};
        struct iovec iov = {(void *)bytes, n};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n_fds) {
                struct cmsghdr *c;

                m.msg_control = control;
                m.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
                for (int i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &memfd, sizeof(int));
        }
        if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return; /* the socket is full of unread replies */
}

static void take_chains(struct vhost_user *vu)
{
        struct virtq_chain chain;

        for (int i = 0; i < VU_QUEUES; i++) {
                struct virtq *q = &vu->ring[i];

                for (int k = 0; k < 8 && vu_ring_is_live(vu, i); k++) {
                        if (virtq_pop(q, &chain, NULL) <= 0)
                                break;
                        for (int p = 0; p < chain.n_out + chain.n_in; p++) {
                                volatile uint8_t *at = chain.iov[p].iov_base;

                                (void)at[0];
                                (void)at[chain.iov[p].iov_len - 1];
                        }
                        virtq_push(q, chain.head, 0);
                        virtq_enable_kick(q);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vhost_user vu;
        struct err err = ERR_INIT;
        int pair[2], memfd;
        int r = 1;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
        memfd = memfd_create("guest", MFD_CLOEXEC);
        if (memfd < 0 || ftruncate(memfd, MEM) < 0)
                abort();
        vu_init(&vu, 42);
        while (size >= 2 && r >= 0) {
                int n_fds = data[0] % (FDS + 1);
                size_t n = data[1] < size - 2 ? data[1] : size - 2;

                if (n)
                        send_some(pair[0], data + 2, n, memfd, n_fds);
                data += 2 + n;
                size -= 2 + n;
                while ((r = vu_receive(&vu, pair[1], &err)) > 0)
                        take_chains(&vu);
        }
        vu_release(&vu);
        close(memfd);
        close(pair[0]);
        close(pair[1]);
        return 0;
}
