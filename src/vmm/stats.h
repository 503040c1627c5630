/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traffic of block and network devices: from QEMU's answer to query-blockstats, and from the
 * kernel's counters of the TAP devices, because QEMU does not count its own. All are totals that
 * only grow; the counters of a metrics line are set from them.
 *
 *     stats_net_read(&cfg, &base);               before the guest starts
 *     stats_set_net(&metrics, &cfg, &base);      before each line
 *
 * Thread rule: any thread; the caller guards the arguments.
 */
#pragma once

#include "vmm/config.h"
#include "vmm/metrics.h"

/* From the guest's point of view: rx is traffic to the guest. */
struct stats_net {
        uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

/* Sets block_… from the result of query-blockstats. Missing values count as 0. */
void stats_set_block(struct vmm_metrics *m, const json_t *blockstats);

/* Adds the counters of a line of /proc/net/dev if it belongs to this interface. */
void stats_net_add_line(struct stats_net *sum, const char *line, const char *ifname);

/* The sums over the interfaces of the configuration; a missing interface counts as 0. */
void stats_net_read(const struct vm_config *cfg, struct stats_net *ret);

/* Sets net_… to the growth since `base`. Values never fall. */
void stats_set_net(struct vmm_metrics *m, const struct vm_config *cfg,
                   const struct stats_net *base);
