/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of addresses of one bridge. A slot is the offset of a guest's address in the pool. The
 * TAP's name, the MAC and the address follow from it, so nothing has to be looked up, and a TAP
 * found on the machine identifies its lease. Slot 0 is the network and means "none", slot 1 is the
 * bridge, the last slot is the broadcast address.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"
#include "net/lease.h"

#include <net/if.h>
#include <stdint.h>

enum {
        POOL_PREFIX_MIN = 16, /* the largest pool: 65533 guests */
        POOL_PREFIX_MAX = 30, /* the smallest: one guest */
        POOL_BRIDGE_MAX = 9,  /* bytes of a bridge's name, so that "BRIDGE-65534" fits IFNAMSIZ */
        POOL_SLOT_BRIDGE = 1,
        POOL_SLOT_FIRST = 2,
};

struct pool {
        char bridge[POOL_BRIDGE_MAX + 1];
        uint32_t base; /* host byte order */
        unsigned prefix;
        uint32_t last; /* the highest slot of a guest */
};

/*
 * `bridge` is "vulcan" and up to three lower-case letters or digits, so that all bridges and TAPs
 * of ours can be recognized by name, also in rules; `cidr` is an IPv4 network. -EINVAL otherwise.
 */
int pool_parse(const char *bridge, const char *cidr, struct pool *ret, struct err *err);

/* The address of a slot, in host byte order. */
uint32_t pool_address(const struct pool *pool, uint32_t slot);

/* "172.30.0.2" */
void pool_address_text(const struct pool *pool, uint32_t slot, char ret[16]);

/* "172.30.0.0/16" */
void pool_text(const struct pool *pool, char ret[20]);

/* 06:00 and the four bytes of the address: locally administered, unique in the pool. */
void pool_mac(const struct pool *pool, uint32_t slot, uint8_t ret[6]);
void pool_mac_text(const struct pool *pool, uint32_t slot, char ret[18]);

/* "vulcan0-2" */
void pool_tap_name(const struct pool *pool, uint32_t slot, char ret[IFNAMSIZ]);

/* The slot of a TAP by its name; 0 if the name is not of this bridge. */
uint32_t pool_tap_slot(const struct pool *pool, const char *name);

/* The device group of the bridge and its TAPs: 'V' and the end of the bridge's name. */
uint32_t pool_group(const struct pool *pool);

/* Fills in a lease, except the name servers. */
void pool_lease(const struct pool *pool, uint32_t slot, struct net_lease *ret);
