/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/counters.h"

#include <errno.h>
#include <jansson.h>

static const struct counter {
        const char *section, *key; /* in the VMM's line */
        enum fc_metric metric;
        const char *label; /* value of the metric's label; NULL: no label */
        bool absolute;     /* the total so far, not an increment */
} table[] = {
        {"vsock", "rx_bytes_count", FC_VMM_VSOCK_BYTES_TOTAL, "rx", false},
        {"vsock", "tx_bytes_count", FC_VMM_VSOCK_BYTES_TOTAL, "tx", false},
        {"vsock", "conns_added", FC_VMM_VSOCK_CONNECTIONS_TOTAL, "added", false},
        {"vsock", "conns_killed", FC_VMM_VSOCK_CONNECTIONS_TOTAL, "killed", false},
        {"vsock", "conns_removed", FC_VMM_VSOCK_CONNECTIONS_TOTAL, "removed", false},
        {"block", "read_bytes", FC_VMM_BLOCK_BYTES_TOTAL, "read", false},
        {"block", "write_bytes", FC_VMM_BLOCK_BYTES_TOTAL, "write", false},
        {"net", "rx_bytes_count", FC_VMM_NET_BYTES_TOTAL, "rx", false},
        {"net", "tx_bytes_count", FC_VMM_NET_BYTES_TOTAL, "tx", false},
        {"net", "tap_read_fails", FC_VMM_NET_FAILURES_TOTAL, "tap_read", false},
        {"net", "tap_write_fails", FC_VMM_NET_FAILURES_TOTAL, "tap_write", false},
        {"net", "tx_spoofed_mac_count", FC_VMM_NET_FAILURES_TOTAL, "spoofed_mac", false},
        {"vcpu", "exit_io_in", FC_VMM_VCPU_EXITS_TOTAL, "io_in", false},
        {"vcpu", "exit_io_out", FC_VMM_VCPU_EXITS_TOTAL, "io_out", false},
        {"vcpu", "exit_mmio_read", FC_VMM_VCPU_EXITS_TOTAL, "mmio_read", false},
        {"vcpu", "exit_mmio_write", FC_VMM_VCPU_EXITS_TOTAL, "mmio_write", false},
        {"vcpu", "failures", FC_VMM_VCPU_FAILURES_TOTAL, NULL, false},
        {"seccomp", "num_faults", FC_VMM_SECCOMP_FAULTS_TOTAL, NULL, true},
};

#define ROWS (sizeof(table) / sizeof(table[0]))
_Static_assert(ROWS <= FC_COUNTERS_MAX, "struct fc_counters is too small for the table");

int fc_counters_add_line(struct fc_counters *c, const char *line, size_t n)
{
        json_t *root = json_loadb(line, n, 0, NULL);

        if (!json_is_object(root)) {
                json_decref(root);
                return -EINVAL;
        }
        for (size_t i = 0; i < ROWS; i++) {
                const json_t *v =
                        json_object_get(json_object_get(root, table[i].section), table[i].key);
                json_int_t add = json_is_integer(v) ? json_integer_value(v) : 0;

                if (add < 0)
                        continue;
                if (table[i].absolute)
                        c->value[i] = (uint64_t)add;
                else
                        c->value[i] += (uint64_t)add;
        }
        json_decref(root);
        return 0;
}

void fc_counters_publish(const struct fc_counters *c, struct fc_metrics *m)
{
        for (size_t i = 0; i < ROWS; i++) {
                struct prom_family *family = m->family[table[i].metric];
                struct prom_counter *counter = table[i].label
                                                       ? prom_counter_with(family, table[i].label)
                                                       : prom_counter_with(family);

                prom_counter_add_int(counter, c->value[i]);
        }
}
