/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/stats.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(const json_t *blockstats, const char *const *keys)
{
        uint64_t sum = 0;
        const json_t *device;
        size_t i;

        json_array_foreach((json_t *)blockstats, i, device)
        {
                const json_t *stats = json_object_get(device, "stats");

                for (const char *const *key = keys; *key; key++)
                        sum += (uint64_t)json_integer_value(json_object_get(stats, *key));
        }
        return sum;
}

#define SUM(...) sum_of(blockstats, (const char *const[]){__VA_ARGS__, NULL})

void stats_set_block(struct vmm_metrics *m, const json_t *blockstats)
{
        m->block_read_bytes = SUM("rd_bytes");
        m->block_read_count = SUM("rd_operations");
        m->block_write_bytes = SUM("wr_bytes");
        m->block_write_count = SUM("wr_operations");
        m->block_flush_count = SUM("flush_operations");
        m->block_execute_fails = SUM("failed_rd_operations", "failed_wr_operations",
                                     "failed_flush_operations", "failed_unmap_operations");
        m->block_invalid_reqs_count = SUM("invalid_rd_operations", "invalid_wr_operations",
                                          "invalid_flush_operations", "invalid_unmap_operations");
}

void stats_net_add_line(struct stats_net *sum, const char *line, const char *ifname)
{
        size_t n = strlen(ifname);
        uint64_t in_bytes, in_packets, out_bytes, out_packets;

        line += strspn(line, " ");
        if (strncmp(line, ifname, n) != 0 || line[n] != ':')
                return;
        /* Receive: bytes, packets and six more; transmit: bytes, packets. The guest's transmitted
         * bytes are the host's received ones. */
        if (sscanf(line + n + 1,
                   "%" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                   &in_bytes, &in_packets, &out_bytes, &out_packets) != 4)
                return;
        sum->tx_bytes += in_bytes;
        sum->tx_packets += in_packets;
        sum->rx_bytes += out_bytes;
        sum->rx_packets += out_packets;
}

void stats_net_read(const struct vm_config *cfg, struct stats_net *ret)
{
        /* Not /sys, which shows the network namespace that it was mounted in. */
        _cleanup_fclose_ FILE *f = cfg->n_nets ? fopen("/proc/self/net/dev", "re") : NULL;
        _cleanup_free_ char *line = NULL;
        size_t cap = 0;

        *ret = (struct stats_net){0};
        while (f && getline(&line, &cap, f) > 0) {
                for (int i = 0; i < cfg->n_nets; i++)
                        stats_net_add_line(ret, line, cfg->nets[i].host_dev_name);
        }
}

/* Counters never fall: the TAP may already be gone when the guest ends. */
static void raise_to(uint64_t *value, uint64_t now, uint64_t base)
{
        if (now > base && now - base > *value)
                *value = now - base;
}

void stats_set_net(struct vmm_metrics *m, const struct vm_config *cfg, const struct stats_net *base)
{
        struct stats_net now;

        stats_net_read(cfg, &now);
        raise_to(&m->net_rx_bytes_count, now.rx_bytes, base->rx_bytes);
        raise_to(&m->net_rx_packets_count, now.rx_packets, base->rx_packets);
        raise_to(&m->net_tx_bytes_count, now.tx_bytes, base->tx_bytes);
        raise_to(&m->net_tx_packets_count, now.tx_packets, base->tx_packets);
}
