/* SPDX-License-Identifier: Apache-2.0 */
#include "http/socket.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool http_socket_has_unread(int fd)
{
        int n = 0;

        return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

bool http_socket_has_room(int fd)
{
        struct pollfd p = {fd, POLLOUT, 0};

        return poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

uint64_t http_socket_moved(int fd)
{
        struct tcp_info info = {0};
        socklen_t size = sizeof(info);

        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return 0;
        return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}
