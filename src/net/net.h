/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network `nat` for microVMs: a TAP on an isolated port of one bridge, an address from a pool,
 * masquerading by nftables. By netlink and libnftables only; no program is started.
 *
 * Several processes of Vulcan on one machine share bridge, tables and pool: a lease is a lock that
 * the kernel gives back with the process (net/lock.h), so a lease of a process that died is free
 * again and its TAP is removed by whoever comes next. The last lease that goes takes bridge, tables
 * and the forwarding setting, if it was changed, with it: at rest nothing is left. The
 * lock files lie in `run_dir`, not in the state directory of one daemon, because what they
 * guard belongs to the machine: whoever shares a bridge must share them.
 *
 * What a guest may reach: the world, by masquerade, over IPv4. That includes the networks this host
 * is on, private ones too, as far as the host can reach them. What it may not, whatever it sends:
 *   - the host: no address, service or published (DNAT) port of it; not even ping to the gateway,
 *     which answers ARP and nothing else;
 *   - other guests, not even by ICMP errors about flows of theirs;
 *   - 169.254.0.0/16 (cloud metadata), loopback, multicast, broadcast; what `refuse` lists;
 *   - IPv6, which is off;
 *   - another MAC or source address than its own.
 * What a program may try in good faith (host, metadata) is answered with a TCP reset or
 * "prohibited", so that it fails at once; the rest is dropped. Nothing outside can open a
 * connection to a guest.
 *
 * Limits. Another table's `drop` is final in nftables: where a firewall's forward policy is drop
 * (Docker sets one) guests have no network until the administrator accepts the bridge there:
 * `iptables -I DOCKER-USER -i vulcan0 -j ACCEPT`, and the same with -o. While forwarding is on
 * only because of us, our rules refuse it between all other interfaces, as it was before; programs
 * that need it should set net.ipv4.ip_forward=1 themselves before the first lease. After somebody
 * flushed all rules of the host, those of running guests are put back by the next net_attach().
 *
 * Name servers are the host's, of those in /etc/resolv.conf (or, where it names none that a guest
 * can reach, /run/systemd/resolve/resolv.conf) that are IPv4 and neither loopback, link-local nor
 * the host's own; where none is left, 1.1.1.1 and 8.8.8.8.
 *
 *     struct net_lease lease;
 *     r = net_attach(net, &lease, err);       // -EPERM, -EBUSY …
 *     ... start the VMM with lease.tap and lease.mac, end it ...
 *     net_detach(net, &lease, err);
 *
 * Thread rule: one struct net a process; every function may be called from any thread, all of them
 * in one network namespace. A forked child that does not exec keeps the leases alive.
 */
#pragma once

#include "base/err.h"
#include "net/lease.h"

#include <stdbool.h>

struct net;

struct net_config {
        const char *run_dir; /* NULL: "/run/vulcan"; absolute; <run_dir>/net is created */
        const char *bridge;  /* NULL: "vulcan0"; "vulcan" and one to three letters or digits */
        const char *pool;    /* NULL: "172.30.0.0/16"; /16 to /30; first address is the bridge's */
        /* Addresses and networks, separated by commas, that guests may not reach besides those below.
         * NULL: metadata services outside 169.254.0.0/16 (net/policy.h). Who makes the tables, the
         * first with a lease, decides for all that share a bridge. */
        const char *refuse;
        struct net_limits limits; /* the same */
};

/* Checks the settings; touches nothing yet. -EINVAL for a pool or bridge that is none. */
int net_new(const struct net_config *config, struct net **ret, struct err *err);

/* Gives leases that are still held back, then frees. Takes NULL. */
void net_free(struct net *net);

/*
 * Makes bridge and tables where they are missing, then a TAP with an address. -EPERM without
 * CAP_NET_ADMIN, -EBUSY when the pool is used up or the bridge serves another one, -EEXIST when
 * the bridge's name is taken, -EADDRINUSE when the pool overlaps a network of this host. On failure
 * nothing is left, and *ret is untouched.
 */
int net_attach(struct net *net, struct net_lease *ret, struct err *err);

/*
 * Removes the TAP, forgets the connections of its address and gives that back. The VMM
 * need not have ended: its descriptor goes dead, and its address is given to nobody before that.
 * Idempotent for one lease, a no-op for a zeroed one. The lease is released even when an error is
 * returned; what could not be removed is removed by a later attach or sweep.
 */
int net_detach(struct net *net, struct net_lease *lease, struct err *err);

/*
 * What was dropped since the last call, as far as it is known: the counters are read by each
 * net_detach(). They are those of the bridge, with the guests of all processes that share it; each
 * packet is told to one of these processes.
 */
void net_take_dropped(struct net *net, struct net_dropped *ret);

/* False if nobody has a lease and nobody has died with one: then there is nothing to sweep. Cheap,
 * and needs no rights. */
bool net_may_have_remains(struct net *net);

/* What a sweep found and removed. */
struct net_swept {
        int taps;
        bool bridge, rules;
};

/*
 * Removes TAPs, bridge and tables that no living process holds. Returns the number of TAPs removed.
 * Call at the start of a daemon. `ret` may be NULL.
 */
int net_sweep(struct net *net, struct net_swept *ret, struct err *err);

/* Says in one line what keeps `nat` from working here (rights, /dev/net/tun, nf_tables); 0 if
 * nothing does. Changes nothing. */
int net_check(struct err *err);
