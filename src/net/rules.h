/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nftables rules of one bridge, and running them by libnftables.
 *
 * Two tables carry the bridge's name. `bridge vulcan0` lets a TAP send nothing but IPv4 and ARP
 * from the MAC and the address of its lease, each a member of the set `leases`: a TAP without a
 * lease can send nothing. `inet vulcan0` refuses what guests may not reach and masquerades the
 * rest. What is refused is answered (TCP reset, ICMP prohibited) so that a program fails at once
 * instead of waiting; what is forged is dropped. Limits hold for each guest by itself: its TAP or its
 * address is a member of a set with a token bucket, which a packet makes and time removes. Counters
 * with names count what is not let through.
 *
 * The texts are pure; each is to be run as one atomic transaction.
 * Thread rule: a struct rules belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/policy.h"
#include "net/pool.h"

#include <stdbool.h>

enum { RULES_TEXT_MAX = 8 * 1024 * 1024 }; /* the tables and 65533 leases */

/*
 * Makes both tables anew, without leases, whatever was there before. `alone`: this host forwards
 * only because of us, so forwarding between other interfaces is refused as if it were off.
 */
int rules_text_tables(struct buf *ret, const struct pool *pool, const struct policy *policy,
                      bool alone);

int rules_text_lease(struct buf *ret, const struct pool *pool, uint32_t slot);

/* Fine for a lease that is not there, too. */
int rules_text_unlease(struct buf *ret, const struct pool *pool, uint32_t slot);

/* Removes both tables; fine if they are not there. */
int rules_text_remove(struct buf *ret, const struct pool *pool);

struct rules;

int rules_open(struct rules **ret, struct err *err);
void rules_free(struct rules *rules);

/* Runs commands as one transaction: all or nothing. */
int rules_run(struct rules *rules, const char *text, struct err *err);

/* Reads the counters of both tables and sets them to 0, in one step for each table. */
int rules_read_dropped(struct rules *rules, const struct pool *pool, struct net_dropped *ret);

/* Adds what nft's text says of them; counters that are not in it are left alone. */
void rules_parse_dropped(const char *text, struct net_dropped *ret);

/* True if the table with the leases is there. */
bool rules_exist(struct rules *rules, const struct pool *pool);
