/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator decides for guests with network `nat`: destinations that none may reach,
 * such as the metadata services of clouds, which give credentials to any client on this host; and
 * limits per guest.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"
#include "net/lease.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        POLICY_REFUSE_MAX = 64,   /* networks in a list */
        POLICY_NETWORK_TEXT = 48, /* bytes of a network as text */
};

/* The default, besides 169.254.0.0/16, which is always refused: Alibaba, Azure, Oracle, AWS over
 * IPv6. */
#define POLICY_REFUSE "100.100.100.200, 168.63.129.16, 192.0.0.192, fd00:ec2::254"

struct policy_network {
        int family; /* AF_INET, AF_INET6 */
        uint8_t address[16];
        unsigned prefix;
};

struct policy {
        struct policy_network refuse[POLICY_REFUSE_MAX];
        int n_refuse;
        struct net_limits limits; /* policy_parse() sets them to 0 */
};

/* Parses IPv4 and IPv6 networks and addresses, separated by commas; "": none. -EINVAL with a
 * message that names the invalid one. */
int policy_parse(const char *refuse, struct policy *ret, struct err *err);

/* True if an address is in one of the networks. */
bool policy_refuses(const struct policy *policy, struct in_addr address);

/* "100.100.100.200/32" */
void policy_network_text(const struct policy_network *network, char ret[POLICY_NETWORK_TEXT]);
