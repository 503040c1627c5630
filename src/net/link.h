/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces by netlink: the bridge, its TAPs, and the connections that the kernel tracks for them.
 *
 * A TAP is an isolated port: it can exchange frames with the bridge but not with other ports. The
 * bridge neither learns addresses nor floods frames; each guest's MAC and address are entered in
 * its tables, so that no guest receives a frame for another one.
 *
 * Our bridge is recognized by its MAC, which pool_mac() derives from the pool and which it has from
 * its creation. A bridge with another MAC belongs to someone else and is left alone.
 *
 * Removing an interface makes the kernel wait for some 20 ms, without its locks; removing many in
 * one request takes no longer. So the bridge and its TAPs form a device group, which is removed as
 * a whole.
 *
 * Thread rule: a struct link belongs to one thread at a time, and to one network namespace.
 */
#pragma once

#include "base/err.h"
#include "net/pool.h"

struct link;

int link_open(struct link **ret, struct err *err);
void link_free(struct link *link);

/* The interface index of our bridge; 0 if there is none. -EBUSY if it serves another pool, -EEXIST
 * if the interface of this name is not ours. */
int link_bridge_find(struct link *link, const struct pool *pool, struct err *err);

/* Creates the bridge with its address, without IPv6, and brings it up. Returns its index. */
int link_bridge_add(struct link *link, const struct pool *pool, struct err *err);

/* -EADDRINUSE if an interface other than the bridge has an address in the pool. */
int link_pool_is_free(struct link *link, const struct pool *pool, struct err *err);

/* Creates a persistent TAP as a port of the bridge. -EEXIST if its name is taken. */
int link_tap_add(struct link *link, const struct pool *pool, uint32_t slot, int bridge,
                 struct err *err);

/* Removes a TAP, if it exists. */
int link_tap_remove(struct link *link, const struct pool *pool, uint32_t slot, struct err *err);

/* Removes the bridge and all its TAPs, if they exist. */
int link_remove_all(struct link *link, const struct pool *pool, struct err *err);

/* Calls `each` for every TAP whose name is of this pool. Returns their number. */
int link_taps(struct link *link, const struct pool *pool, void (*each)(uint32_t slot, void *arg),
              void *arg, struct err *err);

/* Deletes a slot's MAC and the tracked connections of its address, so that replies to the previous
 * guest do not reach the next one. There may be none. */
void link_forget(struct link *link, const struct pool *pool, uint32_t slot);
