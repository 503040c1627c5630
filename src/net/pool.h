/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of addresses of one bridge. A slot is the distance of a guest's address from the
 * pool's first one; TAP name, MAC and address all follow from it, so nothing needs to be looked up
 * and a TAP found on the machine names its lease. Slot 0 is the network and means "none", slot 1
 * is the bridge, the last one the broadcast address.
 *
 * Pure: no I/O. Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "net/lease.h"

#include <net/if.h>
#include <stdint.h>

enum {
        POOL_PREFIX_MIN = 16, /* widest pool: 65533 guests */
        POOL_PREFIX_MAX = 30, /* narrowest: one guest */
        POOL_BRIDGE_MAX = 9,  /* so that "<bridge>-65534" fits IFNAMSIZ */
        POOL_SLOT_BRIDGE = 1,
        POOL_SLOT_FIRST = 2,
};

struct pool {
        char bridge[POOL_BRIDGE_MAX + 1];
        uint32_t base; /* host byte order */
        unsigned prefix;
        uint32_t last; /* highest slot for a guest */
};

/*
 * `bridge` is "vulcan" and up to three small letters or digits, so that every bridge and TAP of
 * ours can be told by its name, in rules too; `cidr` is an IPv4 network. -EINVAL otherwise.
 */
int pool_parse(const char *bridge, const char *cidr, struct pool *ret, struct err *err);

/* Address of a slot, host byte order. */
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

/* The slot a TAP's name stands for; 0 if the name is not one of this bridge's. */
uint32_t pool_tap_slot(const struct pool *pool, const char *name);

/* The device group of the bridge and its TAPs: 'V' and what the bridge's name ends in. */
uint32_t pool_group(const struct pool *pool);

/* Fills all of a lease but the name servers. */
void pool_lease(const struct pool *pool, uint32_t slot, struct net_lease *ret);
