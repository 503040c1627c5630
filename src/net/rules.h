/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nftables rules of one bridge, and running them by libnftables.
 *
 * Two tables have the bridge's name. `bridge vulcan0` accepts from a TAP only IPv4 and ARP with the
 * MAC and the address of its lease, which is an element of the set `leases`; a TAP without a lease
 * can send nothing. `inet vulcan0` rejects what guests may not reach and masquerades the rest.
 * Rejected packets are answered (TCP reset, ICMP prohibited), so that a program fails immediately;
 * forged ones are dropped. Limits are per guest: its TAP or its address is an element of a set with
 * a token bucket, which the first packet adds and a timeout removes. Named counters count what does
 * not pass.
 *
 * The functions that make texts are pure. Each text is run as one atomic transaction.
 *
 * Thread rule: a struct rules belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/policy.h"
#include "net/pool.h"

#include <stdbool.h>

enum { RULES_TEXT_MAX = 8 * 1024 * 1024 }; /* bytes of the tables with 65533 leases */

/* Replaces both tables, without leases. `alone`: this host forwards only because of us, so
 * forwarding between other interfaces is rejected as if it were off. */
int rules_text_tables(struct buf *ret, const struct pool *pool, const struct policy *policy,
                      bool alone);

int rules_text_lease(struct buf *ret, const struct pool *pool, uint32_t slot);

/* The lease need not exist. */
int rules_text_unlease(struct buf *ret, const struct pool *pool, uint32_t slot);

/* Removes both tables, if they exist. */
int rules_text_remove(struct buf *ret, const struct pool *pool);

struct rules;

int rules_open(struct rules **ret, struct err *err);
void rules_free(struct rules *rules);

/* Runs commands as one transaction. */
int rules_run(struct rules *rules, const char *text, struct err *err);

/* Reads and resets the counters, atomically for each table. */
int rules_read_dropped(struct rules *rules, const struct pool *pool, struct net_dropped *ret);

/* Adds the counters in nft's output to *ret. */
void rules_parse_dropped(const char *text, struct net_dropped *ret);

/* True if the table with the leases exists. */
bool rules_exist(struct rules *rules, const struct pool *pool);
