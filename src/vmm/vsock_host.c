/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vsock_host.h"

#include "base/cleanup.h"
#include "vmm/logger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int vsock_parse_connect(const char *line, uint32_t *ret_port)
{
        static const char verb[] = "CONNECT ";
        uint64_t port = 0;
        int digits = 0;

        if (strncasecmp(line, verb, sizeof(verb) - 1) != 0)
                return -EINVAL;
        for (line += sizeof(verb) - 1; *line == ' '; line++)
                ;
        for (; *line >= '0' && *line <= '9'; line++, digits++) {
                port = port * 10 + (uint64_t)(*line - '0');
                if (port > UINT32_MAX)
                        return -ERANGE;
        }
        while (*line == ' ' || *line == '\r')
                line++;
        if (digits == 0 || *line != '\0')
                return -EINVAL;
        *ret_port = (uint32_t)port;
        return 0;
}

static void accept_ready(struct loop_source *src, uint32_t events)
{
        struct vsock_listener *l = src->owner;

        (void)events;
        for (int i = 0; i < VSOCK_ACCEPT_BATCH; i++) {
                int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
                        /* epoll would report the client again and again: pause until a descriptor
                         * is closed. */
                        epoll_ctl(l->loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
                        l->paused = true;
                        logger_error("vsock: cannot accept: %s", strerror(errno));
                }
                if (fd < 0)
                        return;
                l->accepted(l->arg, fd);
        }
}

void vsock_listener_resume(struct vsock_listener *l)
{
        if (l->paused)
                l->paused = loop_add(l->loop, &l->src, l->src.fd, EPOLLIN, NULL) < 0;
}

int vsock_listener_init(struct vsock_listener *l, struct loop *loop, const char *path,
                        void (*accepted)(void *arg, int fd), void *arg, struct err *err)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        *l = (struct vsock_listener){.loop = loop,
                                     .src = {.fd = -1, .ready = accept_ready, .owner = l},
                                     .accepted = accepted,
                                     .arg = arg};
        if (fd < 0)
                return err_errno(err, "uds_path: socket");
        if (strlen(path) > VSOCK_UDS_PATH_MAX)
                return err_set(err, ENAMETOOLONG, "uds_path: longer than %d bytes",
                               VSOCK_UDS_PATH_MAX);
        memcpy(l->path, path, strlen(path) + 1);
        memcpy(sa.sun_path, path, strlen(path) + 1);
        if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return err_errno(err, "uds_path: cannot bind %s", path);
        if (listen(fd, SOMAXCONN) < 0)
                return err_errno(err, "uds_path: cannot listen on %s", path);
        if (loop_add(loop, &l->src, fd, EPOLLIN, err) < 0)
                return -err->code;
        steal_fd(&fd);
        return 0;
}

void vsock_listener_release(struct vsock_listener *l)
{
        int fd = l->src.fd;

        if (fd < 0)
                return;
        l->paused = false;
        loop_del(l->loop, &l->src);
        close(fd);
        unlink(l->path);
}

int vsock_dial_uds(const char *uds_path, uint32_t port)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_%u", uds_path, port) >=
            (int)sizeof(sa.sun_path)) {
                logger_error("vsock: %s_%u is longer than a socket's path may be", uds_path, port);
                return -ENAMETOOLONG;
        }
        /* A Unix socket connects immediately or fails; EAGAIN means that the backlog is full. */
        if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return -errno;
        return steal_fd(&fd);
}
