/* SPDX-License-Identifier: Apache-2.0 */
/* What guests can and cannot reach, with real frames. Needs root. */
#include "net_fixture.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool possible;

struct scene {
        struct world world;
        struct net *net;
        struct net_lease lease[2];
        struct guest a, b;
};

static int setup(void **state)
{
        static struct scene scene;

        if (!possible)
                return 0;
        world_make(&scene.world);
        scene.net = manager(&scene.world, NULL, NULL);
        attach(scene.net, &scene.lease[0]);
        attach(scene.net, &scene.lease[1]);
        guest_boot(&scene.a, &scene.lease[0]);
        guest_boot(&scene.b, &scene.lease[1]);
        *state = &scene;
        return 0;
}

static int teardown(void **state)
{
        struct scene *s = *state;

        if (!s)
                return 0;
        close(s->a.fd);
        close(s->b.fd);
        net_free(s->net);
        assert_nothing_left();
        world_release(&s->world);
        return 0;
}

static struct scene *enter(void **state)
{
        if (!*state) {
                possible = world_is_possible();
                skip();
        }
        return *state;
}

static void a_guest_reaches_the_world_and_gets_answers(void **state)
{
        struct scene *s = enter(state);

        assert_reaches_world(&s->a, &s->world);
        assert_reaches_world(&s->b, &s->world);
        assert_reaches_world(&s->a, &s->world);
}

static void packets_to_the_host_are_rejected(void **state)
{
        struct scene *s = enter(state);
        static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP};
        char gateway[16];
        const char *const addresses[] = {gateway, HOST};

        strcpy(gateway, s->lease[0].gateway);
        for (size_t i = 0; i < 4; i++) {
                struct datagram d = datagram(&s->a, protocols[i / 2], addresses[i % 2]);

                assert_refused(&s->a, &d);
        }
        assert_silent(s->world.host_udp);
        assert_int_equal(accept(s->world.host_tcp, NULL, NULL), -1);
        assert_int_equal(errno, EAGAIN);
}

static void packets_to_published_ports_are_rejected(void **state)
{
        struct scene *s = enter(state);
        struct datagram d = datagram(&s->a, IPPROTO_UDP, HOST);

        free(nft("table ip publish {\n"
                 "  chain prerouting {\n"
                 "    type nat hook prerouting priority dstnat\n"
                 "    ip daddr " HOST " udp dport 8080 dnat to " WORLD ":7\n"
                 "  }\n"
                 "}\n"));
        d.dst_port = htons(8080);
        assert_refused(&s->a, &d);
        assert_silent(s->world.world_udp);
        free(nft("delete table ip publish\n"));
}

static void packets_to_cloud_metadata_are_rejected(void **state)
{
        struct scene *s = enter(state);
        struct datagram udp = datagram(&s->a, IPPROTO_UDP, "169.254.169.254");
        struct datagram tcp = datagram(&s->a, IPPROTO_TCP, "169.254.169.254");

        assert_refused(&s->a, &udp);
        assert_refused(&s->a, &tcp);
}

static void packets_to_listed_metadata_services_are_rejected(void **state)
{
        static const char *const services[] = {"100.100.100.200", "168.63.129.16", "192.0.0.192"};
        struct scene *s = enter(state);

        for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
                struct datagram udp = datagram(&s->a, IPPROTO_UDP, services[i]);
                struct datagram tcp = datagram(&s->a, IPPROTO_TCP, services[i]);

                assert_refused(&s->a, &udp);
                assert_refused(&s->a, &tcp);
        }
}

/* An ICMP error about a flow as the world sees it. Connection tracking treats it as part of the
 * flow. */
static void send_error(const struct guest *g, const char *to, const struct datagram *flow)
{
        size_t n = sizeof(struct icmphdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
        struct ip_frame f = {0};

        memcpy(f.ether.ether_dhost, g->gateway_mac, 6);
        memcpy(f.ether.ether_shost, g->mac, 6);
        f.ether.ether_type = htons(ETHERTYPE_IP);
        f.ip = (struct iphdr){.version = 4,
                              .ihl = 5,
                              .ttl = 64,
                              .protocol = IPPROTO_ICMP,
                              .tot_len = htons((uint16_t)(sizeof(f.ip) + n)),
                              .saddr = g->address,
                              .daddr = inet_addr(to)};
        f.ip.check = checksum(&f.ip, sizeof(f.ip), 0);
        f.icmp.type = ICMP_DEST_UNREACH;
        f.icmp.code = ICMP_PORT_UNREACH;
        f.about_ip = (struct iphdr){.version = 4,
                                    .ihl = 5,
                                    .ttl = 64,
                                    .protocol = IPPROTO_UDP,
                                    .tot_len = htons(sizeof(struct iphdr) + sizeof(struct udphdr)),
                                    .saddr = flow->src,
                                    .daddr = flow->dst};
        f.about_ip.check = checksum(&f.about_ip, sizeof(f.about_ip), 0);
        f.about.source = flow->src_port;
        f.about.dest = flow->dst_port;
        f.about.len = htons(sizeof(struct udphdr));
        f.icmp.checksum = checksum(&f.icmp, n, 0);
        guest_write(g, &f, sizeof(f.ether) + sizeof(f.ip) + n);
}

/* With br_netfilter loaded: whether bridged packets also pass the IP rules. */
static void set_bridge_netfilter(const char *value)
{
        _cleanup_close_ int fd = open("/proc/sys/net/bridge/bridge-nf-call-iptables", O_RDWR);

        if (fd >= 0)
                assert_int_equal(write(fd, value, 1), 1);
}

static void errors_about_flows_go_nowhere(struct scene *s)
{
        struct datagram flow = datagram(&s->b, IPPROTO_UDP, WORLD);
        struct datagram reply;
        char byte[16];
        int heard;

        assert_return_code(setns(s->world.world_ns, CLONE_NEWNET), errno);
        heard = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
        assert_return_code(heard, errno);
        assert_return_code(setns(s->world.host_ns, CLONE_NEWNET), errno);
        guest_send(&s->b, &flow);
        wait_readable(s->world.world_udp);
        assert_int_equal(recv(s->world.world_udp, byte, sizeof(byte), 0), 4);
        flow.src = inet_addr(HOST); /* masqueraded, with its port */
        reply = flow;
        reply.src = flow.dst;
        reply.dst = flow.src;
        reply.src_port = flow.dst_port;
        reply.dst_port = flow.src_port;
        send_error(&s->a, HOST, &flow);   /* as if from the world to the other guest */
        send_error(&s->a, WORLD, &reply); /* as if from the host to the world */
        reply.dst = s->b.address;
        send_error(&s->a, WORLD, &reply); /* as if from the other guest */
        assert_reaches_world(&s->a, &s->world);
        assert_reaches_world(&s->b, &s->world);
        assert_no_stray(&s->b);
        assert_silent(heard);
        close(heard);
}

static void icmp_errors_about_flows_of_others_are_dropped(void **state)
{
        struct scene *s = enter(state);

        set_bridge_netfilter("1");
        errors_about_flows_go_nowhere(s);
        set_bridge_netfilter("0");
        errors_about_flows_go_nowhere(s);
}

static void guests_cannot_reach_each_other(void **state)
{
        struct scene *s = enter(state);
        struct arp_frame arp = arp_request(&s->a, s->a.mac, s->a.address);
        char address[20];
        struct datagram d;

        strcpy(address, s->lease[1].address);
        *strchr(address, '/') = '\0';
        d = datagram(&s->a, IPPROTO_UDP, address);
        guest_send(&s->a, &d); /* through the gateway */
        memcpy(d.dst_mac, s->b.mac, 6);
        guest_send(&s->a, &d); /* over the bridge */
        memset(d.dst_mac, 0xff, 6);
        guest_send(&s->a, &d); /* broadcast */
        memcpy(arp.ether.ether_dhost, s->b.mac, 6);
        guest_write(&s->a, &arp, sizeof(arp));
        assert_reaches_world(&s->a, &s->world);
        assert_no_stray(&s->b);
}

static void packets_with_a_forged_source_are_dropped(void **state)
{
        struct scene *s = enter(state);
        struct datagram address = datagram(&s->a, IPPROTO_UDP, WORLD);
        struct datagram foreign = address;
        struct datagram mac = address;
        struct datagram both = address;

        address.src = s->b.address;
        foreign.src = inet_addr("198.51.100.9");
        memcpy(mac.src_mac, s->b.mac, 6);
        both.src = s->b.address;
        memcpy(both.src_mac, s->b.mac, 6);
        guest_send(&s->a, &address);
        guest_send(&s->a, &foreign);
        guest_send(&s->a, &mac);
        guest_send(&s->a, &both);
        assert_reaches_world(&s->a, &s->world);
        assert_silent(s->world.world_udp);
        assert_reaches_world(&s->b, &s->world); /* the bridge still has its port */
}

static void forged_arp_is_dropped(void **state)
{
        struct scene *s = enter(state);
        struct arp_frame hidden = arp_request(&s->a, s->b.mac, s->a.address);
        struct arp_frame masked = arp_request(&s->a, s->a.mac, s->a.address);

        memcpy(hidden.ether.ether_shost, s->a.mac, 6);
        guest_write(&s->a, &hidden, sizeof(hidden));
        memcpy(masked.ether.ether_shost, s->b.mac, 6);
        guest_write(&s->a, &masked, sizeof(masked));
        guest_arp(&s->a, s->a.mac, s->b.address);
        guest_arp(&s->a, s->a.mac, s->a.gateway);
        guest_arp(&s->a, s->b.mac, s->a.address);
        assert_reaches_world(&s->a, &s->world);
        assert_reaches_world(&s->b, &s->world);
        assert_no_stray(&s->a); /* none of them was answered */
        assert_no_stray(&s->b);
}

static void the_world_cannot_connect_to_guests(void **state)
{
        struct scene *s = enter(state);
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = s->a.address};

        assert_int_equal(
                sendto(s->world.world_udp, "hey", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
        assert_reaches_world(&s->a, &s->world);
        assert_no_stray(&s->a);
}

/* ---- limits ---- */

static unsigned count_received(int fd)
{
        char bytes[16];
        unsigned n = 0;

        while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                n++;
        return n;
}

/* The same with limits for guests. */
static struct scene *enter_limited(void **state, struct net_limits limits)
{
        struct scene *s = enter(state);
        struct net_config config = {.run_dir = s->world.run_dir, .limits = limits};

        close(s->a.fd);
        close(s->b.fd);
        net_free(s->net);
        assert_int_equal(net_new(&config, &s->net, NULL), 0);
        attach(s->net, &s->lease[0]);
        attach(s->net, &s->lease[1]);
        guest_boot(&s->a, &s->lease[0]);
        guest_boot(&s->b, &s->lease[1]);
        return s;
}

enum { FLOOD = 100 };

static void new_connections_are_limited_and_counted(void **state)
{
        struct scene *s = enter_limited(state, (struct net_limits){.connections = 1});
        struct net_dropped d;
        unsigned n;

        for (int i = 0; i < FLOOD; i++) {
                struct datagram flow = datagram(&s->a, IPPROTO_UDP, WORLD);

                guest_send(&s->a, &flow);
        }
        n = count_received(s->world.world_udp);
        assert_in_range(n, 1, FLOOD - 1);
        assert_reaches_world(&s->b, &s->world); /* limits are per guest */
        net_take_dropped(s->net, &d);
        assert_int_equal(d.connections, 0); /* counters are read when a lease ends */
        detach(s->net, &s->lease[0]);
        net_take_dropped(s->net, &d);
        assert_int_equal(d.connections, FLOOD - n);
        assert_int_equal(d.packets + d.bandwidth + d.refused, 0);
        detach(s->net, &s->lease[1]);
        net_take_dropped(s->net, &d);
        assert_int_equal(d.connections, 0);
}

static void packets_are_limited_and_counted(void **state)
{
        struct scene *s = enter_limited(state, (struct net_limits){.packets = 20});
        struct datagram flow = datagram(&s->a, IPPROTO_UDP, WORLD);
        struct net_dropped d;
        unsigned n;

        for (int i = 0; i < FLOOD; i++)
                guest_send(&s->a, &flow);
        n = count_received(s->world.world_udp);
        assert_in_range(n, 0, FLOOD - 1);
        detach(s->net, &s->lease[0]);
        net_take_dropped(s->net, &d);
        assert_int_equal(d.packets, FLOOD - n);
        assert_int_equal(d.connections + d.bandwidth + d.refused, 0);
}

static void bandwidth_is_limited_and_counted(void **state)
{
        struct scene *s = enter_limited(state, (struct net_limits){.bandwidth = 1000});
        struct datagram flow = datagram(&s->a, IPPROTO_UDP, WORLD);
        struct net_dropped d;

        for (int i = 0; i < 40 * FLOOD; i++) /* of 46 bytes: the burst is 64 KiB */
                guest_send(&s->a, &flow);
        count_received(s->world.world_udp);
        detach(s->net, &s->lease[0]);
        net_take_dropped(s->net, &d);
        assert_in_range(d.bandwidth, 1, 40 * FLOOD - 64 * 1024 / 64);
        assert_int_equal(d.connections + d.packets + d.refused, 0);
}

static void the_kernel_accepts_the_largest_limits(void **state)
{
        struct scene *s =
                enter_limited(state, (struct net_limits){10000000, 1000000000, NET_BANDWIDTH_MAX});

        assert_reaches_world(&s->a, &s->world);
        assert_reaches_world(&s->b, &s->world);
}

static void rejected_packets_are_counted(void **state)
{
        struct scene *s = enter(state);
        struct datagram host = datagram(&s->a, IPPROTO_UDP, HOST);
        struct datagram metadata = datagram(&s->a, IPPROTO_TCP, "169.254.169.254");
        struct net_dropped d;

        assert_refused(&s->a, &host);
        assert_refused(&s->a, &metadata);
        detach(s->net, &s->lease[0]);
        net_take_dropped(s->net, &d);
        assert_int_equal(d.refused, 2);
        assert_int_equal(d.connections + d.packets + d.bandwidth, 0);
}

static void a_detached_guest_loses_its_connections(void **state)
{
        struct scene *s = enter(state);
        static const char count[] = "/proc/sys/net/netfilter/nf_conntrack_count";
        long before;

        if (access(count, R_OK) < 0) {
                print_message("skip: no %s\n", count);
                skip();
        }
        before = sysctl_number(count);
        assert_reaches_world(&s->a, &s->world);
        assert_true(sysctl_number(count) > before);
        detach(s->net, &s->lease[0]);
        assert_int_equal(sysctl_number(count), before);
        assert_reaches_world(&s->b, &s->world);
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                NET_TEST(a_guest_reaches_the_world_and_gets_answers),
                NET_TEST(packets_to_the_host_are_rejected),
                NET_TEST(packets_to_published_ports_are_rejected),
                NET_TEST(packets_to_cloud_metadata_are_rejected),
                NET_TEST(packets_to_listed_metadata_services_are_rejected),
                NET_TEST(icmp_errors_about_flows_of_others_are_dropped),
                NET_TEST(guests_cannot_reach_each_other),
                NET_TEST(packets_with_a_forged_source_are_dropped),
                NET_TEST(forged_arp_is_dropped),
                NET_TEST(the_world_cannot_connect_to_guests),
                NET_TEST(new_connections_are_limited_and_counted),
                NET_TEST(packets_are_limited_and_counted),
                NET_TEST(bandwidth_is_limited_and_counted),
                NET_TEST(the_kernel_accepts_the_largest_limits),
                NET_TEST(rejected_packets_are_counted),
                NET_TEST(a_detached_guest_loses_its_connections),
        };

        possible = world_is_possible();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
