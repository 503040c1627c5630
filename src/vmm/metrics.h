/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters in the format of Firecracker's metrics file: one JSON object a line, written right after
 * the guest has been started, every VMM_METRICS_PERIOD_NS, on FlushMetrics and at a clean end.
 *
 * As in Firecracker, most values are the growth since the previous line; those marked absolute in
 * the table (metrics.c) are not. Only keys that this program can measure are written. A line is one
 * write(2). A slow reader of a FIFO loses whole lines, which are counted; only of a line longer
 * than PIPE_BUF may a part arrive, and that takes very long properties or numbers.
 *
 * To add a counter, add a field here and a row to the table. Thread rule: one thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define VMM_METRICS_PERIOD_NS UINT64_C(60000000000)

struct vmm_metrics {
        /* api_server */
        uint64_t process_startup_time_us, process_startup_time_cpu_us;
        /* get_api_requests, put_api_requests, patch_api_requests */
        uint64_t get_instance_info_count, get_machine_cfg_count, get_vmm_version_count;
        uint64_t put_actions_count, put_actions_fails;
        uint64_t put_boot_source_count, put_boot_source_fails;
        uint64_t put_drive_count, put_drive_fails;
        uint64_t put_logger_count, put_logger_fails;
        uint64_t put_machine_cfg_count, put_machine_cfg_fails;
        uint64_t put_metrics_count, put_metrics_fails;
        uint64_t put_network_count, put_network_fails;
        uint64_t put_vsock_count, put_vsock_fails;
        uint64_t patch_machine_cfg_count, patch_machine_cfg_fails;
        /* block and net: sums over all devices; rx is to the guest, tx from it */
        uint64_t block_read_bytes, block_read_count, block_write_bytes, block_write_count;
        uint64_t block_flush_count, block_execute_fails, block_invalid_reqs_count;
        uint64_t net_rx_bytes_count, net_rx_packets_count;
        uint64_t net_tx_bytes_count, net_tx_packets_count;
        /* signals: set for the one that ends the process */
        uint64_t sighup, sigxcpu, sigxfsz;
        /* latencies_us */
        uint64_t pause_vm_us, resume_vm_us;
        /* logger */
        uint64_t missed_metrics_count, missed_log_count;
        /* vmm */
        uint64_t panic_count;
        /* vsock: tx is from the guest, rx to it */
        uint64_t vsock_rx_queue_event_fails, vsock_tx_queue_event_fails;
        uint64_t vsock_rx_queue_event_count, vsock_tx_queue_event_count;
        uint64_t vsock_rx_bytes_count, vsock_tx_bytes_count;
        uint64_t vsock_rx_packets_count, vsock_tx_packets_count;
        uint64_t vsock_conns_added, vsock_conns_killed, vsock_conns_removed;
        uint64_t vsock_tx_flush_fails, vsock_tx_write_fails, vsock_rx_read_fails;
};

/* The beginning of each line; NULL: absent. Kept by pointer. */
struct metrics_head {
        const char *id;         /* letters, digits and - */
        const char *properties; /* JSON text */
};

struct metrics_file {
        int fd; /* -1: none */
        struct metrics_head head;
        struct vmm_metrics last; /* the values of the last line */
};

#define METRICS_FILE_INIT ((struct metrics_file){.fd = -1})

/* Opens or creates the file, or opens a FIFO, without blocking. */
int metrics_file_open(struct metrics_file *mf, const char *path, struct err *err);
void metrics_file_close(struct metrics_file *mf);

/* Appends one line with its newline: the growth from `last` to `now`. 0 or -ENOBUFS. */
int metrics_render(struct buf *b, const struct metrics_head *head, const struct vmm_metrics *now,
                   const struct vmm_metrics *last, int64_t wall_ms);

/* Writes a line, if there is a file. -errno: the line is lost, and counted in `now`. */
int metrics_file_write(struct metrics_file *mf, struct vmm_metrics *now, struct err *err);
