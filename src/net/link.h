/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces by netlink: the bridge and its TAPs, and the connections the kernel tracks for them.
 *
 * A TAP is a port that can talk to the bridge and to no other port (isolated). Nothing is learned
 * and nothing flooded: the guest's MAC and address are written into the bridge's tables, so that no
 * guest sees a frame that is meant for another one.
 *
 * A bridge is known as ours by its MAC, which pool_mac() makes of the pool; it is given at
 * creation, so a bridge without it is somebody else's and is left alone.
 *
 * Removing an interface takes the kernel some 20 ms of waiting, without its locks; removing many in
 * one request takes no longer. So bridge and TAPs are a device group, and go together.
 *
 * Thread rule: a struct link belongs to one thread at a time, and to one network namespace.
 */
#pragma once

#include "base/err.h"
#include "net/pool.h"

struct link;

int link_open(struct link **ret, struct err *err);
void link_free(struct link *link);

/*
 * The bridge's interface index if it is there and ours, 0 if there is none, -EBUSY if it serves
 * another pool, -EEXIST if it is not ours.
 */
int link_bridge_find(struct link *link, const struct pool *pool, struct err *err);

/* Makes the bridge, with its address, up, without IPv6. Returns its index. */
int link_bridge_add(struct link *link, const struct pool *pool, struct err *err);

/* -EADDRINUSE if an interface other than the bridge has an address in the pool. */
int link_pool_is_free(struct link *link, const struct pool *pool, struct err *err);

/* Makes a TAP that outlives its descriptor, as a port of the bridge. -EEXIST if its name is taken.
 */
int link_tap_add(struct link *link, const struct pool *pool, uint32_t slot, int bridge,
                 struct err *err);

/* Removes a TAP; fine if there is none. */
int link_tap_remove(struct link *link, const struct pool *pool, uint32_t slot, struct err *err);

/* Removes the bridge and all its TAPs; fine if there is none. */
int link_remove_all(struct link *link, const struct pool *pool, struct err *err);

/* Calls `each` for every TAP named as one of this pool's. Returns how many or the error. */
int link_taps(struct link *link, const struct pool *pool, void (*each)(uint32_t slot, void *arg),
              void *arg, struct err *err);

/*
 * Forgets a slot's MAC and the tracked connections of its address, so that nothing the world still
 * sends to its last holder reaches the next one. Fine where there are none.
 */
void link_forget(struct link *link, const struct pool *pool, uint32_t slot);
