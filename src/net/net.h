/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network `nat` for microVMs: each guest has a TAP on an isolated port of one bridge and an address
 * from a pool; nftables masquerades what it sends. Uses netlink and libnftables only, and starts no
 * program.
 *
 * All Vulcan processes of a machine share the bridge, the tables and the pool. A lease is a file
 * lock, which the kernel releases when the process ends (net/lock.h). So a lease of a dead process
 * is free again, and the next process to come removes its TAP. Giving back the last lease removes
 * the bridge and the tables and restores the forwarding setting if it was changed: nothing is left.
 * The lock files are in `run_dir` and not in a state directory, because what they guard belongs to
 * the machine: processes that share a bridge must share them.
 *
 * A guest can reach the world by masquerade over IPv4, including the networks of this host, private
 * ones too, as far as the host can reach them. Whatever it sends, it cannot reach or use:
 *
 *   - the host: no address, service or published (DNAT) port; the gateway answers ARP only, not
 *     even ping;
 *   - other guests, not even by ICMP errors about their connections;
 *   - 169.254.0.0/16 (cloud metadata), loopback, multicast, broadcast, and what `refuse` lists;
 *   - IPv6, which is off;
 *   - a MAC or source address other than its own.
 *
 * Requests that a program may make in good faith (to the host, to metadata) are rejected with a TCP
 * reset or ICMP "prohibited", so that they fail immediately. Everything else is dropped. Nothing
 * outside can open a connection to a guest.
 *
 * Limitations. In nftables a `drop` by another table is final. If a firewall's forward policy is
 * drop, as Docker sets it, guests have no network until the administrator accepts the bridge there:
 * `iptables -I DOCKER-USER -i vulcan0 -j ACCEPT`, and the same with -o. While forwarding is on only
 * because of us, our rules reject forwarding between all other interfaces, as before; programs that
 * need it should set net.ipv4.ip_forward=1 before the first lease. If the rules of the host are
 * flushed, the next net_attach() restores those of running guests.
 *
 * Guests use the host's name servers: those of /etc/resolv.conf or, if it names none that a guest
 * can reach, of /run/systemd/resolve/resolv.conf. They must be IPv4 and neither loopback,
 * link-local nor an address of the host. If there are none, guests use 1.1.1.1 and 8.8.8.8.
 *
 *     struct net_lease lease;
 *     r = net_attach(net, &lease, err);       // -EPERM, -EBUSY …
 *     ... start the VMM with lease.tap and lease.mac, end it ...
 *     net_detach(net, &lease, err);
 *
 * Thread rule: one struct net per process. Every function may be called from any thread, all in the
 * same network namespace. A forked child that does not exec keeps the leases alive.
 */
#pragma once

#include "base/err.h"
#include "net/lease.h"

#include <stdbool.h>

struct net;

struct net_config {
        const char *run_dir; /* NULL: "/run/vulcan"; absolute; <run_dir>/net is created */
        const char *bridge;  /* NULL: "vulcan0"; "vulcan" and one to three letters or digits */
        const char *pool; /* NULL: "172.30.0.0/16"; /16 to /30; the first address is the bridge's */
        /*
         * Addresses and networks, separated by commas, that guests may not reach in addition to the
         * list above. NULL: metadata services outside 169.254.0.0/16 (net/policy.h). The process
         * with the first lease on a bridge makes its tables, so its `refuse` and `limits` apply to
         * all.
         */
        const char *refuse;
        struct net_limits limits;
};

/* Checks the settings and changes nothing. -EINVAL for an invalid pool, bridge or list. */
int net_new(const struct net_config *config, struct net **ret, struct err *err);

/* Gives back all leases, then frees. NULL is fine. */
void net_free(struct net *net);

/*
 * Creates the bridge and the tables if they are missing, then a TAP with an address. -EPERM without
 * CAP_NET_ADMIN; -EBUSY if the pool is exhausted or the bridge serves another pool; -EEXIST if
 * another program owns an interface of the bridge's name; -EADDRINUSE if the pool overlaps a
 * network of this host. On failure nothing is left, and *ret is untouched.
 */
int net_attach(struct net *net, struct net_lease *ret, struct err *err);

/*
 * Removes the TAP, deletes the tracked connections of its address, and gives the address back. The
 * VMM may still run: its descriptor of the TAP becomes useless before the address is reused.
 * Idempotent; does nothing for a zeroed lease. Even on error the lease is released; a later attach
 * or sweep removes the rest.
 */
int net_detach(struct net *net, struct net_lease *lease, struct err *err);

/*
 * Returns the packets dropped since the last call. Only net_detach() reads the kernel's counters.
 * They belong to the bridge and include the guests of all processes that share it; each packet is
 * reported to one process.
 */
void net_take_dropped(struct net *net, struct net_dropped *ret);

/* False if no process has a lease and none has died with one, so that there is nothing to sweep.
 * Cheap, and needs no privileges. */
bool net_may_have_remains(struct net *net);

/* What a sweep has removed. */
struct net_swept {
        int taps;
        bool bridge, rules;
};

/* Removes TAPs, bridge and tables that no living process uses. Returns the number of TAPs removed.
 * A daemon calls it at its start. `ret` may be NULL. */
int net_sweep(struct net *net, struct net_swept *ret, struct err *err);

/* Checks whether `nat` can work here (privileges, /dev/net/tun, nf_tables). The error is one line.
 * Changes nothing. */
int net_check(struct err *err);
