/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/metrics.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { METRICS_LINE_MAX = 8192 };

#define ROW(group, key, field, absolute)                                                           \
        {                                                                                          \
                group, key, offsetof(struct vmm_metrics, field), absolute                          \
        }
#define REQUESTS(group, name, field)                                                               \
        ROW(group, name "_count", field##_count, false),                                           \
                ROW(group, name "_fails", field##_fails, false)

static const struct {
        const char *group, *key;
        size_t offset;
        bool absolute;
} table[] = {
        ROW("api_server", "process_startup_time_us", process_startup_time_us, true),
        ROW("api_server", "process_startup_time_cpu_us", process_startup_time_cpu_us, true),
        ROW("block", "execute_fails", block_execute_fails, false),
        ROW("block", "invalid_reqs_count", block_invalid_reqs_count, false),
        ROW("block", "flush_count", block_flush_count, false),
        ROW("block", "read_bytes", block_read_bytes, false),
        ROW("block", "write_bytes", block_write_bytes, false),
        ROW("block", "read_count", block_read_count, false),
        ROW("block", "write_count", block_write_count, false),
        ROW("get_api_requests", "instance_info_count", get_instance_info_count, false),
        ROW("get_api_requests", "machine_cfg_count", get_machine_cfg_count, false),
        ROW("get_api_requests", "vmm_version_count", get_vmm_version_count, false),
        REQUESTS("put_api_requests", "actions", put_actions),
        REQUESTS("put_api_requests", "boot_source", put_boot_source),
        REQUESTS("put_api_requests", "drive", put_drive),
        REQUESTS("put_api_requests", "logger", put_logger),
        REQUESTS("put_api_requests", "machine_cfg", put_machine_cfg),
        REQUESTS("put_api_requests", "metrics", put_metrics),
        REQUESTS("put_api_requests", "network", put_network),
        REQUESTS("put_api_requests", "vsock", put_vsock),
        REQUESTS("patch_api_requests", "machine_cfg", patch_machine_cfg),
        ROW("latencies_us", "pause_vm", pause_vm_us, true),
        ROW("latencies_us", "resume_vm", resume_vm_us, true),
        ROW("logger", "missed_metrics_count", missed_metrics_count, false),
        ROW("logger", "missed_log_count", missed_log_count, false),
        ROW("net", "rx_bytes_count", net_rx_bytes_count, false),
        ROW("net", "rx_packets_count", net_rx_packets_count, false),
        ROW("net", "tx_bytes_count", net_tx_bytes_count, false),
        ROW("net", "tx_packets_count", net_tx_packets_count, false),
        ROW("signals", "sigxfsz", sigxfsz, true),
        ROW("signals", "sigxcpu", sigxcpu, true),
        ROW("signals", "sighup", sighup, true),
        ROW("vmm", "panic_count", panic_count, true),
        ROW("vsock", "rx_queue_event_fails", vsock_rx_queue_event_fails, false),
        ROW("vsock", "tx_queue_event_fails", vsock_tx_queue_event_fails, false),
        ROW("vsock", "rx_queue_event_count", vsock_rx_queue_event_count, false),
        ROW("vsock", "tx_queue_event_count", vsock_tx_queue_event_count, false),
        ROW("vsock", "rx_bytes_count", vsock_rx_bytes_count, false),
        ROW("vsock", "tx_bytes_count", vsock_tx_bytes_count, false),
        ROW("vsock", "rx_packets_count", vsock_rx_packets_count, false),
        ROW("vsock", "tx_packets_count", vsock_tx_packets_count, false),
        ROW("vsock", "conns_added", vsock_conns_added, false),
        ROW("vsock", "conns_killed", vsock_conns_killed, false),
        ROW("vsock", "conns_removed", vsock_conns_removed, false),
        ROW("vsock", "tx_flush_fails", vsock_tx_flush_fails, false),
        ROW("vsock", "tx_write_fails", vsock_tx_write_fails, false),
        ROW("vsock", "rx_read_fails", vsock_rx_read_fails, false),
};

int metrics_file_open(struct metrics_file *mf, const char *path, struct err *err)
{
        int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);

        if (fd < 0)
                return err_errno(err, "metrics_path: cannot open %s", path);
        close_fd(&mf->fd);
        mf->fd = fd;
        return 0;
}

void metrics_file_close(struct metrics_file *mf)
{
        close_fd(&mf->fd);
}

static uint64_t value_at(const struct vmm_metrics *m, size_t offset)
{
        uint64_t v;

        memcpy(&v, (const char *)m + offset, sizeof(v));
        return v;
}

int metrics_render(struct buf *b, const struct metrics_head *head, const struct vmm_metrics *now,
                   const struct vmm_metrics *last, int64_t wall_ms)
{
        const char *group = "";
        int r = buf_printf(b, "{\"utc_timestamp_ms\":%" PRId64, wall_ms);

        if (r == 0 && head->id)
                r = buf_printf(b, ",\"id\":\"%s\"", head->id);
        if (r == 0 && head->properties)
                r = buf_printf(b, ",\"properties\":%s", head->properties);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && r == 0; i++) {
                uint64_t v = value_at(now, table[i].offset);

                if (!table[i].absolute)
                        v -= value_at(last, table[i].offset);
                if (strcmp(group, table[i].group) != 0)
                        r = buf_printf(b, "%s,\"%s\":{", *group ? "}" : "", table[i].group);
                else
                        r = buf_add(b, ",", 1);
                group = table[i].group;
                if (r == 0)
                        r = buf_printf(b, "\"%s\":%" PRIu64, table[i].key, v);
        }
        return r == 0 ? buf_printf(b, "}}\n") : r;
}

int metrics_file_write(struct metrics_file *mf, struct vmm_metrics *now, struct err *err)
{
        _cleanup_buf_ struct buf line = BUF_INIT(METRICS_LINE_MAX);
        ssize_t n;
        int r;

        if (mf->fd < 0)
                return 0;
        r = metrics_render(&line, &mf->head, now, &mf->last, clock_wall_ms());
        if (r < 0)
                return err_set(err, -r, "cannot render a metrics line");
        n = write(mf->fd, line.data, line.len);
        if (n != (ssize_t)line.len) {
                now->missed_metrics_count++;
                return n < 0 ? err_errno(err, "cannot write metrics")
                             : err_set(err, EIO, "metrics line was cut short");
        }
        mf->last = *now;
        return 0;
}
