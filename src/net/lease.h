/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest gets: a lease, and the limits that hold for it. Plain data. */
#pragma once

#include <net/if.h>
#include <stdint.h>

enum { NET_DNS_MAX = 3 };

/* Per guest and second. What exceeds a limit is dropped and counted. 0: no limit. */
struct net_limits {
        unsigned connections; /* that it opens; also the largest burst */
        unsigned packets;     /* that it sends */
        uint64_t bandwidth;   /* bytes that it sends, and as many that it receives */
};

#define NET_BANDWIDTH_MAX (UINT64_C(8) << 30) /* the limit of the kernel's token buckets */

/* Packets of guests that were dropped or rejected. */
struct net_dropped {
        uint64_t connections, packets, bandwidth; /* over a limit */
        uint64_t refused;                         /* to the host or to a refused destination */
};

struct net_lease {
        char tap[IFNAMSIZ];        /* the TAP on the host, "vulcan0-2" */
        char mac[18];              /* "06:00:ac:1e:00:02" for the guest */
        char address[20];          /* "172.30.0.2/16" for the guest */
        char gateway[16];          /* "172.30.0.1" */
        char dns[NET_DNS_MAX][16]; /* name servers for the guest, IPv4 */
        int n_dns;
        uint32_t slot; /* private: index in the pool; 0: no lease */
};
