/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/counters.h"

#include "backend/firecracker/vm.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FLUSH_TIMEOUT_MS = 100 };

static const struct counter {
        const char *section, *key; /* in the VMM's line */
        enum fc_metric metric;
        const char *label; /* value of the metric's label; NULL: it has none */
        bool absolute;     /* not a difference to the last line */
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

static size_t ignore_body(char *bytes, size_t size, size_t n, void *ctx)
{
        return size * n;
}

void fc_counters_flush(const struct fc_vm *vm)
{
        char path[PATH_MAX];
        struct curl_slist *headers = NULL;
        CURL *curl;
        CURLcode code;

        if (fs_join(path, sizeof(path), vm->dir, "api.sock", NULL) < 0)
                return;
        curl = curl_easy_init();
        if (!curl)
                return;
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_URL, "http://localhost/actions");
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{\"action_type\":\"FlushMetrics\"}");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_body);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FLUSH_TIMEOUT_MS);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        code = curl_easy_perform(curl);
        if (code != CURLE_OK)
                log_debug("workload %s: counters not flushed: %s", vm->spec->id,
                          curl_easy_strerror(code));
        curl_slist_free_all(headers);
        curl_easy_cleanup(curl);
}

void fc_counters_collect(const struct fc_vm *vm)
{
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *line = NULL;
        struct fc_counters c = {0};
        char path[PATH_MAX];
        size_t size = 0;
        ssize_t n;

        if (fs_join(path, sizeof(path), vm->dir, "metrics", NULL) < 0)
                return;
        f = fopen(path, "re");
        while (f && (n = getline(&line, &size, f)) > 0) {
                /* A line without its newline was torn by the VMM's death. */
                if (line[n - 1] != '\n' || n > FC_COUNTERS_LINE_MAX ||
                    fc_counters_add_line(&c, line, (size_t)n - 1) < 0)
                        prom_counter_inc(vm->spec->metrics->lost_lines);
        }
        fc_counters_publish(&c, vm->spec->metrics);
}
