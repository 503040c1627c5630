/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peer.h"

#include <arpa/inet.h>
#include <stdio.h>

void http_peer_text(const struct sockaddr *address, char ret[HTTP_CLIENT_MAX])
{
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        char host[INET6_ADDRSTRLEN];

        if (address && address->sa_family == AF_INET &&
            inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)))
                snprintf(ret, HTTP_CLIENT_MAX, "%s:%u", host, ntohs(in->sin_port));
        else if (address && address->sa_family == AF_INET6 &&
                 inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)))
                snprintf(ret, HTTP_CLIENT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
        else
                snprintf(ret, HTTP_CLIENT_MAX, "unix");
}

void http_peer_of(int fd, char ret[HTTP_CLIENT_MAX])
{
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof(address);

        ret[0] = '\0';
        if (getpeername(fd, (struct sockaddr *)&address, &size) == 0)
                http_peer_text((const struct sockaddr *)&address, ret);
}
