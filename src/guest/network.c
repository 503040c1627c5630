/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/network.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/route.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define INTERFACE "eth0"

enum { FILE_MAX = 1024 };

static int open_socket(struct err *err)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? err_errno(err, "network socket") : fd;
}

static int bring_up(int fd, const char *name, struct err *err)
{
        struct ifreq req = {0};

        strncpy(req.ifr_name, name, IFNAMSIZ - 1);
        if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
                return err_errno(err, "network interface %s", name);
        req.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
                return err_errno(err, "bringing up network interface %s", name);
        return 0;
}

static struct sockaddr_in ipv4(uint32_t address)
{
        return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = address};
}

static int set_address(int fd, unsigned long request, uint32_t address, struct err *err)
{
        struct sockaddr_in in = ipv4(address);
        struct ifreq req = {.ifr_name = INTERFACE};

        memcpy(&req.ifr_addr, &in, sizeof(in));
        return ioctl(fd, request, &req) < 0 ? err_errno(err, "address of " INTERFACE) : 0;
}

static int add_default_route(int fd, uint32_t gateway, struct err *err)
{
        struct sockaddr_in any = ipv4(INADDR_ANY), in = ipv4(gateway);
        struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

        memcpy(&route.rt_dst, &any, sizeof(any));
        memcpy(&route.rt_genmask, &any, sizeof(any));
        memcpy(&route.rt_gateway, &in, sizeof(in));
        return ioctl(fd, SIOCADDRT, &route) < 0 ? err_errno(err, "default route") : 0;
}

/* "172.30.0.2/30" as address and mask in network order. */
static int parse_address(const char *text, uint32_t *ret_address, uint32_t *ret_mask,
                         struct err *err)
{
        char host[WIRE_ADDRESS_MAX + 1];
        const char *slash = strchr(text, '/');
        struct in_addr in;
        char *end;
        long bits;

        if (!slash || (size_t)(slash - text) >= sizeof(host))
                return err_set(err, EINVAL, "\"%s\" is not ADDRESS/LENGTH", text);
        memcpy(host, text, (size_t)(slash - text));
        host[slash - text] = '\0';
        bits = strtol(slash + 1, &end, 10);
        if (inet_pton(AF_INET, host, &in) != 1 || end == slash + 1 || *end || bits < 1 || bits > 32)
                return err_set(err, EINVAL, "\"%s\" is not ADDRESS/LENGTH", text);
        *ret_address = in.s_addr;
        *ret_mask = htonl(UINT32_MAX << (32 - bits));
        return 0;
}

static int write_resolver(const struct wire_network *network, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
        struct in_addr in;

        for (size_t i = 0; i < network->n_dns; i++) {
                if (inet_pton(AF_INET, network->dns[i], &in) != 1)
                        return err_set(err, EINVAL, "\"%s\" is not an address", network->dns[i]);
                buf_printf(&text, "nameserver %s\n", network->dns[i]);
        }
        return text.len > 0 ? fs_write("/etc/resolv.conf", text.data, text.len, 0644, err) : 0;
}

int network_loopback(struct err *err)
{
        _cleanup_close_ int fd = open_socket(err);

        return fd < 0 ? fd : bring_up(fd, "lo", err);
}

int network_configure(const struct wire_network *network, struct err *err)
{
        _cleanup_close_ int fd = open_socket(err);
        uint32_t address = 0, mask = 0;
        struct in_addr gateway;
        int r;

        if (fd < 0)
                return fd;
        r = parse_address(network->address, &address, &mask, err);
        if (r < 0)
                return r;
        if (inet_pton(AF_INET, network->gateway, &gateway) != 1)
                return err_set(err, EINVAL, "\"%s\" is not an address", network->gateway);
        r = set_address(fd, SIOCSIFADDR, address, err);
        if (r == 0)
                r = set_address(fd, SIOCSIFNETMASK, mask, err);
        if (r == 0)
                r = bring_up(fd, INTERFACE, err);
        if (r == 0)
                r = add_default_route(fd, gateway.s_addr, err);
        if (r == 0)
                r = write_resolver(network, err);
        return r;
}

int network_name_host(const char *id, struct err *err)
{
        _cleanup_buf_ struct buf hosts = BUF_INIT(FILE_MAX);
        char name[WIRE_ID_MAX + 1];
        size_t n = strnlen(id, WIRE_ID_MAX);

        for (size_t i = 0; i < n; i++)
                name[i] = (char)tolower((unsigned char)id[i]);
        name[n] = '\0';
        if (sethostname(name, n) < 0)
                return err_errno(err, "host name");
        buf_printf(&hosts, "127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n", name);
        return fs_write("/etc/hosts", hosts.data, hosts.len, 0644, err);
}
