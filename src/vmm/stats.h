/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What block and network devices have moved, from those who count it: QEMU's answer to
 * query-blockstats, and the kernel's counters of the TAP devices (QEMU has none for its own). All are
 * totals that only grow; the counters of a metrics line are set from them.
 *
 *     stats_net_read(&cfg, &base);               before the guest starts: what others moved
 *     stats_set_net(&metrics, &cfg, &base);      whenever a line is due
 *
 * Thread rule: any thread; the caller guards what is passed.
 */
#pragma once

#include "vmm/config.h"
#include "vmm/metrics.h"

/* As the guest sees it: rx is to it. */
struct stats_net {
        uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

/* Sets block_… from what query-blockstats returned. Anything that is not there counts as 0. */
void stats_set_block(struct vmm_metrics *m, const json_t *blockstats);

/* Adds what a line of /proc/net/dev says, if it is about this interface. */
void stats_net_add_line(struct stats_net *sum, const char *line, const char *ifname);

/* Sums over the interfaces of the configuration; one that is gone counts as 0. */
void stats_net_read(const struct vm_config *cfg, struct stats_net *ret);

/* Sets net_… to what was moved since `base`. Values never fall. */
void stats_set_net(struct vmm_metrics *m, const struct vm_config *cfg,
                   const struct stats_net *base);
