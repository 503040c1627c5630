/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for tests of `net`. The host is a network namespace made for one test; the internet
 * is another one at the other end of a veth pair; a guest is the test itself, which writes and
 * reads Ethernet frames on a TAP. Needs root.
 *
 *     host: 203.0.113.1 (wan0), default route to the internet
 *     internet: 203.0.113.2 (wan1), with a route to the guests, so that only rules keep it out
 *
 * To prove that a frame does not arrive, a test sends one after it that is answered: no test waits
 * for silence. All functions fail the test on errors.
 */
#pragma once

#include "net/net.h"

#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>

#define HOST "203.0.113.1"
#define WORLD "203.0.113.2"

enum { FRAME_MAX = 2048 };

struct world {
        char run_dir[32];
        int host_ns;
        int world_ns;
        int world_udp; /* bound to WORLD:7 */
        int host_udp;  /* bound to any address of the host, port 7 */
        int host_tcp;  /* listening there */
};

struct guest {
        int fd;
        uint8_t mac[6];
        uint8_t gateway_mac[6];
        uint32_t address; /* network byte order */
        uint32_t gateway;
        unsigned n_stray; /* frames received while waiting for another one */
};

struct arp_frame {
        struct ether_header ether;
        struct ether_arp arp;
} __attribute__((packed));

struct ip_frame {
        struct ether_header ether;
        struct iphdr ip;
        union {
                struct tcphdr tcp;
                struct udphdr udp;
                struct {
                        struct icmphdr icmp;
                        struct iphdr about_ip;
                        struct udphdr about;
                } __attribute__((packed));
                uint8_t bytes[64];
        };
} __attribute__((packed));

struct datagram {
        uint8_t src_mac[6], dst_mac[6];
        uint32_t src, dst;
        uint8_t protocol; /* UDP, or a TCP SYN */
        uint16_t src_port, dst_port;
};

/* ---- the host and the internet ---- */

/* False, with the reason printed, if this machine cannot run these tests. */
bool world_is_possible(void);

/* Makes both namespaces and leaves the test in that of the host. */
void world_make(struct world *w);

/* Fails if a lock file is left. */
void world_release(struct world *w);

uint64_t deadline_ns(void); /* when waiting for anything counts as failed */
void wait_readable(int fd);

/* Nothing is queued on the socket. */
void assert_silent(int fd);

/* Runs nft commands as an administrator would. Returns what they print, which the caller frees. */
char *nft(const char *commands);

void set_forwarding(const char *value); /* "0" or "1" */
long sysctl_number(const char *path);
bool is_forwarding(void);

/* No interface, rule or forwarding of ours is left. */
void assert_nothing_left(void);

struct net *manager(const struct world *w, const char *bridge, const char *pool);
void attach(struct net *net, struct net_lease *ret);
void detach(struct net *net, struct net_lease *lease);

/* ---- a guest ---- */

/* Opens the TAP as a VMM would, and asks for the gateway's MAC until it is answered. */
void guest_boot(struct guest *g, const struct net_lease *lease);

void guest_write(const struct guest *g, const void *frame, size_t n);

/* A broadcast request for the gateway's MAC, from this MAC and address; the second sends it. */
struct arp_frame arp_request(const struct guest *g, const uint8_t mac[6], uint32_t address);
void guest_arp(const struct guest *g, const uint8_t mac[6], uint32_t address);

/* A UDP datagram or a TCP SYN to port 7 of an address, from a new port; the second sends it. */
struct datagram datagram(const struct guest *g, uint8_t protocol, const char *to);
void guest_send(const struct guest *g, const struct datagram *d);

/* Sends it and waits for a rejection. */
void assert_refused(struct guest *g, const struct datagram *d);

/* Sends a datagram to the internet, where it must come from the host's address, and its answer
 * back. */
void assert_reaches_world(struct guest *g, const struct world *w);

/* The Internet checksum of n bytes and what `sum` holds already. */
uint16_t checksum(const void *bytes, size_t n, uint32_t sum);

/* No frame arrived except those that were waited for. */
void assert_no_stray(const struct guest *g);
