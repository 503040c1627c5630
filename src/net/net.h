/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network `nat` for microVMs: a TAP on an isolated port of one bridge, an address from a pool,
 * masquerading by nftables. By netlink and libnftables only; no program is started.
 *
 * Several processes of Vulcan on one machine share bridge, table and pool: each lease is a locked
 * file under `<state_dir>/net/`, so a lease of a process that died is free again and its TAP is
 * removed by whoever comes next. The last lease that goes takes bridge, table and the forwarding
 * settings that were changed with it: at rest nothing is left.
 *
 * What a guest may reach: the world by masquerade. What it may not: the host's own addresses and
 * services, other guests, 169.254.0.0/16 (cloud metadata), another source address than its own.
 *
 * Thread rule: one struct net a process; every function may be called from any thread.
 */
#pragma once

#include "base/err.h"

#include <net/if.h>
#include <stdint.h>

struct net;

struct net_config {
        const char *state_dir; /* absolute; <state_dir>/net is created */
        const char *bridge;    /* NULL: "vulcan0" */
        const char *pool;      /* NULL: "172.30.0.0/16"; first address is the bridge's */
};

struct net_lease {
        char tap[IFNAMSIZ];   /* name of the TAP on the host */
        char mac[18];         /* "06:00:ac:1e:00:02" for the guest */
        char address[20];     /* "172.30.0.2/16" for the guest */
        char gateway[16];     /* "172.30.0.1" */
        char dns[3][16];      /* name servers for the guest, IPv4 */
        int n_dns;
        uint32_t slot;        /* private: place in the pool */
        int lock_fd;          /* private: holds the lease; -1 when released */
};

/* Prepares the pool; touches no interface yet. -EINVAL for a pool that is none. */
int net_new(const struct net_config *config, struct net **ret, struct err *err);

/* Gives leases that are still held back, then frees. Takes NULL. */
void net_free(struct net *net);

/*
 * Makes bridge and table where they are missing, then a TAP with an address. -EPERM without
 * CAP_NET_ADMIN, -EBUSY when the pool is used up. On failure nothing is left.
 */
int net_attach(struct net *net, struct net_lease *ret, struct err *err);

/* Removes the TAP and gives the address back. Idempotent for one lease. The lease is released even
 * when an error is returned; what could not be removed is removed by a later attach or sweep. */
int net_detach(struct net *net, struct net_lease *lease, struct err *err);

/* Removes TAPs, bridge and table that no living process holds. Returns the number of TAPs removed. */
int net_sweep(struct net *net, struct err *err);

/* Says in one line what keeps `nat` from working here (rights, /dev/net/tun, nf_tables); 0 if
 * nothing does. Changes nothing. */
int net_check(struct err *err);
