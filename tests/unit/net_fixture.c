/* SPDX-License-Identifier: Apache-2.0 */
#include "net_fixture.h"

#include "slow.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/route.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

enum { VNET_HEADER = 10, WAIT_S = 20 };

uint64_t deadline_ns(void)
{
        return clock_ns() + WAIT_S * slow() * NS_PER_S;
}

/* ---- the host and the internet ---- */

void set_forwarding(const char *value)
{
        _cleanup_close_ int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDWR | O_CLOEXEC);

        assert_int_equal(write(fd, value, 1), 1);
}

static void interface_set(const char *name, const char *address, const char *mask)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq ifr = {0};
        struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

        snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
        in->sin_family = AF_INET;
        if (address) {
                inet_pton(AF_INET, address, &in->sin_addr);
                assert_return_code(ioctl(fd, SIOCSIFADDR, &ifr), errno);
                inet_pton(AF_INET, mask, &in->sin_addr);
                assert_return_code(ioctl(fd, SIOCSIFNETMASK, &ifr), errno);
        }
        ifr.ifr_flags = IFF_UP | IFF_NOARP;
        assert_return_code(ioctl(fd, SIOCSIFFLAGS, &ifr), errno);
}

static void route_add(const char *network, const char *mask, const char *gateway)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
        struct sockaddr_in in = {.sin_family = AF_INET};

        inet_pton(AF_INET, network, &in.sin_addr);
        memcpy(&route.rt_dst, &in, sizeof(in));
        inet_pton(AF_INET, mask, &in.sin_addr);
        memcpy(&route.rt_genmask, &in, sizeof(in));
        inet_pton(AF_INET, gateway, &in.sin_addr);
        memcpy(&route.rt_gateway, &in, sizeof(in));
        assert_return_code(ioctl(fd, SIOCADDRT, &route), errno);
}

static int bound_socket(int type, const char *address)
{
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(7)};
        int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        inet_pton(AF_INET, address, &in.sin_addr);
        assert_return_code(bind(fd, (struct sockaddr *)&in, sizeof(in)), errno);
        if (type == SOCK_STREAM)
                assert_return_code(listen(fd, 8), errno);
        return fd;
}

static int namespace_new(void)
{
        int fd;

        assert_return_code(unshare(CLONE_NEWNET), errno);
        fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        assert_return_code(fd, errno);
        interface_set("lo", NULL, NULL);
        return fd;
}

/* Both ends have the same MAC and do no ARP, so no time is lost on a request sent too early. */
static void veth_add(int peer_ns)
{
        struct nl_sock *sock = nl_socket_alloc();
        struct rtnl_link *link = rtnl_link_veth_alloc();
        struct rtnl_link *peer = rtnl_link_veth_get_peer(link);
        struct nl_addr *mac = nl_addr_build(AF_LLC, "\x02\x00\x00\x00\x00\x01", 6);

        assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
        rtnl_link_set_name(link, "wan0");
        rtnl_link_set_name(peer, "wan1");
        rtnl_link_set_ns_fd(peer, peer_ns);
        rtnl_link_set_addr(link, mac);
        rtnl_link_set_addr(peer, mac);
        nl_addr_put(mac);
        assert_int_equal(rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL), 0);
        rtnl_link_put(peer);
        rtnl_link_put(link);
        nl_socket_free(sock);
}

bool world_is_possible(void)
{
        if (geteuid() != 0) {
                print_message("skip: needs root, for a network namespace of its own\n");
                return false;
        }
        if (unshare(CLONE_NEWNET) < 0) {
                print_message("skip: cannot make a network namespace: %s\n", strerror(errno));
                return false;
        }
        if (access("/dev/net/tun", R_OK | W_OK) < 0) {
                print_message("skip: cannot use /dev/net/tun: %s\n", strerror(errno));
                return false;
        }
        return true;
}

/* Sends both ways until both arrive: a veth drops frames until the kernel has noticed its
 * carrier. */
static void world_settle(const struct world *w)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
        struct pollfd there = {.fd = w->world_udp, .events = POLLIN};
        struct pollfd back = {.fd = w->host_udp, .events = POLLIN};
        uint64_t deadline = deadline_ns();
        socklen_t size = sizeof(to);
        char byte;

        do {
                assert_true(clock_ns() < deadline);
                inet_pton(AF_INET, WORLD, &to.sin_addr);
                sendto(w->host_udp, "", 1, 0, (struct sockaddr *)&to, size);
                if (poll(&there, 1, 20) != 1)
                        continue;
                while (recvfrom(there.fd, &byte, 1, 0, (struct sockaddr *)&to, &size) == 1)
                        ;
                sendto(there.fd, "", 1, 0, (struct sockaddr *)&to, size);
        } while (poll(&back, 1, 20) != 1);
        while (recv(back.fd, &byte, 1, 0) == 1)
                ;
        while (recv(there.fd, &byte, 1, 0) == 1)
                ;
}

void world_make(struct world *w)
{
        strcpy(w->run_dir, "/tmp/test_net.XXXXXX");
        assert_non_null(mkdtemp(w->run_dir));
        w->world_ns = namespace_new();
        w->host_ns = namespace_new();
        veth_add(w->world_ns);
        interface_set("wan0", HOST, "255.255.255.0");
        w->host_udp = bound_socket(SOCK_DGRAM, "0.0.0.0");
        w->host_tcp = bound_socket(SOCK_STREAM, "0.0.0.0");
        assert_return_code(setns(w->world_ns, CLONE_NEWNET), errno);
        interface_set("wan1", WORLD, "255.255.255.0");
        route_add("172.30.0.0", "255.255.0.0", HOST);
        w->world_udp = bound_socket(SOCK_DGRAM, WORLD);
        assert_return_code(setns(w->host_ns, CLONE_NEWNET), errno);
        route_add("0.0.0.0", "0.0.0.0", WORLD);
        set_forwarding("0"); /* a new namespace inherits the machine's value */
        world_settle(w);
}

void world_release(struct world *w)
{
        char dir[48];

        snprintf(dir, sizeof(dir), "%s/net", w->run_dir);
        if (rmdir(dir) < 0 && errno != ENOENT)
                fail_msg("%s: %s", dir, strerror(errno));
        close_fd(&w->host_tcp);
        close_fd(&w->host_udp);
        close_fd(&w->world_udp);
        close_fd(&w->host_ns);
        close_fd(&w->world_ns);
        fs_remove_tree(w->run_dir, NULL);
}

void wait_readable(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, WAIT_S * 1000 * (int)slow()), 1);
}

char *nft(const char *commands)
{
        struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
        char *out;

        nft_ctx_buffer_output(ctx);
        assert_int_equal(nft_run_cmd_from_buffer(ctx, commands), 0);
        out = strdup(nft_ctx_get_output_buffer(ctx));
        nft_ctx_free(ctx);
        return out;
}

long sysctl_number(const char *path)
{
        _cleanup_buf_ struct buf text = BUF_INIT(64);

        assert_int_equal(fs_read(path, &text, NULL), 0);
        return strtol(text.data, NULL, 10);
}

bool is_forwarding(void)
{
        return sysctl_number("/proc/sys/net/ipv4/ip_forward") == 1;
}

void assert_nothing_left(void)
{
        struct if_nameindex *all = if_nameindex();
        _cleanup_free_ char *rules = nft("list ruleset\n");

        assert_non_null(all);
        for (const struct if_nameindex *i = all; i->if_index; i++) {
                if (strncmp(i->if_name, "vulcan", 6) == 0)
                        fail_msg("%s is left", i->if_name);
        }
        if_freenameindex(all);
        assert_string_equal(rules, "");
        assert_false(is_forwarding());
}

struct net *manager(const struct world *w, const char *bridge, const char *pool)
{
        struct net_config config = {.run_dir = w->run_dir, .bridge = bridge, .pool = pool};
        struct net *net = NULL;

        assert_int_equal(net_new(&config, &net, NULL), 0);
        return net;
}

void attach(struct net *net, struct net_lease *ret)
{
        struct err err = ERR_INIT;

        if (net_attach(net, ret, &err) != 0)
                fail_msg("%s", err.msg);
}

void detach(struct net *net, struct net_lease *lease)
{
        struct err err = ERR_INIT;

        if (net_detach(net, lease, &err) != 0)
                fail_msg("%s", err.msg);
        assert_int_equal(lease->slot, 0);
}

/* ---- a guest ---- */

uint16_t checksum(const void *bytes, size_t n, uint32_t sum)
{
        const uint8_t *p = bytes;

        for (size_t i = 0; i < n; i++)
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

void guest_write(const struct guest *g, const void *frame, size_t n)
{
        uint8_t bytes[VNET_HEADER + FRAME_MAX] = {0};

        memcpy(bytes + VNET_HEADER, frame, n);
        assert_int_equal(write(g->fd, bytes, VNET_HEADER + n), VNET_HEADER + n);
}

/* The length of the next frame; 0 if there is none. */
static size_t guest_read(const struct guest *g, uint8_t frame[FRAME_MAX])
{
        uint8_t bytes[VNET_HEADER + FRAME_MAX];
        ssize_t n = read(g->fd, bytes, sizeof(bytes));

        if (n < VNET_HEADER)
                return 0;
        memset(frame, 0, FRAME_MAX);
        memcpy(frame, bytes + VNET_HEADER, (size_t)n - VNET_HEADER);
        return (size_t)n - VNET_HEADER;
}

typedef bool (*frame_test)(const uint8_t *frame, const struct datagram *sent);

/* Waits for a frame that passes the test. Counts the others as strays. */
static bool guest_await(struct guest *g, frame_test test, const struct datagram *sent,
                        uint8_t frame[FRAME_MAX], uint64_t deadline_ns)
{
        struct pollfd p = {.fd = g->fd, .events = POLLIN};

        while (poll(&p, 1, clock_poll_ms(deadline_ns)) == 1) {
                while (guest_read(g, frame)) {
                        if (test(frame, sent))
                                return true;
                        g->n_stray++;
                }
        }
        return false;
}

struct arp_frame arp_request(const struct guest *g, const uint8_t mac[6], uint32_t address)
{
        struct arp_frame f = {0};

        memset(f.ether.ether_dhost, 0xff, 6);
        memcpy(f.ether.ether_shost, mac, 6);
        f.ether.ether_type = htons(ETHERTYPE_ARP);
        f.arp.arp_hrd = htons(ARPHRD_ETHER);
        f.arp.arp_pro = htons(ETHERTYPE_IP);
        f.arp.arp_hln = 6;
        f.arp.arp_pln = 4;
        f.arp.arp_op = htons(ARPOP_REQUEST);
        memcpy(f.arp.arp_sha, mac, 6);
        memcpy(f.arp.arp_spa, &address, 4);
        memcpy(f.arp.arp_tpa, &g->gateway, 4);
        return f;
}

void guest_arp(const struct guest *g, const uint8_t mac[6], uint32_t address)
{
        struct arp_frame f = arp_request(g, mac, address);

        guest_write(g, &f, sizeof(f));
}

static bool is_arp_reply(const uint8_t *frame, const struct datagram *sent)
{
        const struct arp_frame *f = (const void *)frame;

        return f->ether.ether_type == htons(ETHERTYPE_ARP) && f->arp.arp_op == htons(ARPOP_REPLY);
}

/* Retries: the port of the bridge opens a moment after the TAP. */
void guest_boot(struct guest *g, const struct net_lease *lease)
{
        struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
        uint64_t deadline = deadline_ns();
        uint8_t frame[FRAME_MAX];
        char address[20];

        g->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        assert_return_code(g->fd, errno);
        strcpy(ifr.ifr_name, lease->tap);
        assert_return_code(ioctl(g->fd, TUNSETIFF, &ifr), errno);
        assert_int_equal(sscanf(lease->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &g->mac[0], &g->mac[1],
                                &g->mac[2], &g->mac[3], &g->mac[4], &g->mac[5]),
                         6);
        strcpy(address, lease->address);
        *strchr(address, '/') = '\0';
        inet_pton(AF_INET, address, &g->address);
        inet_pton(AF_INET, lease->gateway, &g->gateway);
        for (;;) {
                assert_true(clock_ns() < deadline);
                guest_arp(g, g->mac, g->address);
                if (guest_await(g, is_arp_reply, NULL, frame, clock_ns() + 20 * NS_PER_MS))
                        break;
        }
        memcpy(g->gateway_mac, frame + 6, 6);
        while (guest_read(g, frame))
                ;
        g->n_stray = 0;
}

struct datagram datagram(const struct guest *g, uint8_t protocol, const char *to)
{
        static uint16_t port = 40000;
        struct datagram d = {.src = g->address,
                             .protocol = protocol,
                             .src_port = htons(port++),
                             .dst_port = htons(7)};

        memcpy(d.src_mac, g->mac, 6);
        memcpy(d.dst_mac, g->gateway_mac, 6);
        inet_pton(AF_INET, to, &d.dst);
        return d;
}

static uint32_t pseudo_sum(const struct datagram *d, size_t n)
{
        uint32_t s = ntohl(d->src);
        uint32_t t = ntohl(d->dst);

        return (s >> 16) + (s & 0xffff) + (t >> 16) + (t & 0xffff) + d->protocol + (uint32_t)n;
}

void guest_send(const struct guest *g, const struct datagram *d)
{
        size_t n = d->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr) + 4;
        struct ip_frame f = {0};

        memcpy(f.ether.ether_dhost, d->dst_mac, 6);
        memcpy(f.ether.ether_shost, d->src_mac, 6);
        f.ether.ether_type = htons(ETHERTYPE_IP);
        f.ip.version = 4;
        f.ip.ihl = 5;
        f.ip.ttl = 64;
        f.ip.protocol = d->protocol;
        f.ip.tot_len = htons((uint16_t)(sizeof(f.ip) + n));
        f.ip.saddr = d->src;
        f.ip.daddr = d->dst;
        f.ip.check = checksum(&f.ip, sizeof(f.ip), 0);
        if (d->protocol == IPPROTO_TCP) {
                f.tcp.source = d->src_port;
                f.tcp.dest = d->dst_port;
                f.tcp.doff = 5;
                f.tcp.syn = 1;
                f.tcp.check = checksum(f.bytes, n, pseudo_sum(d, n));
        } else {
                f.udp.source = d->src_port;
                f.udp.dest = d->dst_port;
                f.udp.len = htons((uint16_t)n);
                memcpy(f.bytes + sizeof(f.udp), "ping", 4);
                f.udp.check = checksum(f.bytes, n, pseudo_sum(d, n));
        }
        guest_write(g, &f, sizeof(f.ether) + sizeof(f.ip) + n);
}

/* Is it the answer of a rule that rejects: a TCP reset, or ICMP "prohibited" about what was
 * sent? */
static bool is_refusal(const uint8_t *frame, const struct datagram *sent)
{
        const struct ip_frame *f = (const void *)frame;

        if (f->ether.ether_type != htons(ETHERTYPE_IP))
                return false;
        if (sent->protocol == IPPROTO_TCP)
                return f->ip.protocol == IPPROTO_TCP && f->tcp.rst && f->tcp.dest == sent->src_port;
        return f->ip.protocol == IPPROTO_ICMP && f->icmp.type == ICMP_DEST_UNREACH &&
               f->icmp.code == ICMP_PKT_FILTERED && f->about.source == sent->src_port;
}

static bool is_udp_reply(const uint8_t *frame, const struct datagram *sent)
{
        const struct ip_frame *f = (const void *)frame;

        return f->ether.ether_type == htons(ETHERTYPE_IP) && f->ip.protocol == IPPROTO_UDP &&
               f->ip.saddr == sent->dst && f->udp.dest == sent->src_port;
}

void assert_refused(struct guest *g, const struct datagram *d)
{
        uint8_t frame[FRAME_MAX];

        guest_send(g, d);
        assert_true(guest_await(g, is_refusal, d, frame, deadline_ns()));
}

void assert_reaches_world(struct guest *g, const struct world *w)
{
        struct datagram d = datagram(g, IPPROTO_UDP, WORLD);
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        uint8_t frame[FRAME_MAX];
        char bytes[16];

        guest_send(g, &d);
        wait_readable(w->world_udp);
        assert_int_equal(
                recvfrom(w->world_udp, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size),
                4);
        assert_int_equal(from.sin_addr.s_addr, inet_addr(HOST));
        assert_int_equal(sendto(w->world_udp, "pong", 4, 0, (struct sockaddr *)&from, size), 4);
        assert_true(guest_await(g, is_udp_reply, &d, frame, deadline_ns()));
}

void assert_no_stray(const struct guest *g)
{
        uint8_t frame[FRAME_MAX];

        assert_int_equal(g->n_stray, 0);
        assert_int_equal(guest_read(g, frame), 0);
}

void assert_silent(int fd)
{
        char byte;

        assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
}
