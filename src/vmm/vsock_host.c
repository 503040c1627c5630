/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the vsock device: the listening Unix socket, CONNECT lines, and dialling. */
#include "vmm/vsock_conn.h"

#include "base/cleanup.h"
#include "vmm/logger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Parses "CONNECT <port>" without its newline. Spaces around the number are fine. */
static int parse_connect(const char *line, uint32_t *ret_port)
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

/* A port of the host's that no stream to this guest port uses: 1 << 30 and up, as Firecracker. */
static uint32_t free_host_port(struct vsock_device *dev, uint32_t guest_port)
{
        uint32_t port;

        do {
                port = dev->next_host_port;
                dev->next_host_port = port == UINT32_C(0x7fffffff) ? 1u << 30 : port + 1;
        } while (conn_find(dev, guest_port, port));
        return port;
}

void conn_read_line(struct vsock_conn *c)
{
        char line[VSOCK_CONNECT_LINE_MAX + 1];
        ssize_t n = recv(c->src.fd, line, VSOCK_CONNECT_LINE_MAX, MSG_PEEK | MSG_DONTWAIT);
        uint32_t port;
        char *end;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
        if (!end) {
                /* A part of a line may grow, unless its writer is gone or it is too long already. */
                if (n <= 0 || n == VSOCK_CONNECT_LINE_MAX || c->hung_up)
                        conn_kill(c);
                return;
        }
        *end = '\0';
        /* Only the line is taken: what follows belongs to the stream. */
        if (recv(c->src.fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT) != end - line + 1 ||
            (*end = '\0', parse_connect(line, &port)) < 0) {
                conn_kill(c);
                return;
        }
        conn_set_deadline(c, false);
        c->state = CONN_REQUESTED;
        conn_name(c, port, free_host_port(c->dev, port));
        conn_owe(c, OWE_REQUEST);
}

static void accept_ready(struct loop_source *src, uint32_t events)
{
        struct vsock_device *dev = src->owner;

        (void)events;
        for (int i = 0; i < VSOCK_ACCEPT_BATCH; i++) {
                int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                struct vsock_conn *c;

                if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
                        /* It would be reported again and again: listen once something is closed. */
                        epoll_ctl(dev->loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
                        dev->listener_is_paused = true;
                        logger_error("vsock: cannot accept: %s", strerror(errno));
                }
                if (fd < 0)
                        return;
                if (dev->broken) {
                        close(fd);
                        continue;
                }
                c = conn_new(dev, fd, CONN_LINE);
                if (c)
                        conn_set_deadline(c, true);
                else
                        dev->metrics->vsock_conns_killed++;
        }
}

void vsock_listen_again(struct vsock_device *dev)
{
        dev->listener_is_paused = false;
        if (loop_add(dev->loop, &dev->listener, dev->listener.fd, EPOLLIN, NULL) < 0)
                dev->listener_is_paused = true;
}

int vsock_listen(struct vsock_device *dev, struct err *err)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return err_errno(err, "uds_path: socket");
        memcpy(sa.sun_path, dev->uds_path, strlen(dev->uds_path) + 1);
        if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return err_errno(err, "uds_path: cannot bind %s", dev->uds_path);
        if (listen(fd, SOMAXCONN) < 0)
                return err_errno(err, "uds_path: cannot listen on %s", dev->uds_path);
        dev->listener.ready = accept_ready;
        if (loop_add(dev->loop, &dev->listener, fd, EPOLLIN, err) < 0)
                return -err->code;
        fd = -1;
        return 0;
}

int vsock_dial_uds(struct vsock_device *dev, uint32_t port)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_%u", dev->uds_path, port) >=
            (int)sizeof(sa.sun_path)) {
                logger_error("vsock: %s_%u is longer than a socket's path may be", dev->uds_path,
                             port);
                return -ENAMETOOLONG;
        }
        /* A Unix socket connects at once or not at all; EAGAIN is a full backlog. */
        if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return -errno;
        return steal_fd(&fd);
}
