/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/counters.h"

#include "backend/firecracker/vm.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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

/* A connection to the VMM's API. -1: nobody is there. Does not wait: a Unix socket connects at once
 * or not at all. */
static int dial(const struct fc_vm *vm)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 ||
            fs_join(addr.sun_path, sizeof(addr.sun_path), vm->dir, "api.sock", NULL) < 0 ||
            connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -1;
        return steal_fd(&fd);
}

/* Waits for the beginning of the answer. The number of its status, 0 if it does not come, or if
 * fc_vm_stop() is called: then nobody waits for counters any more. */
static int read_status(const struct fc_vm *vm, int fd, uint64_t deadline_ns)
{
        char head[] = "HTTP/1.1 200";
        size_t have = 0;

        while (have < sizeof(head) - 1) {
                struct pollfd p[] = {{.fd = fd, .events = POLLIN},
                                     {.fd = vm->stop_fd, .events = POLLIN}};
                ssize_t n;

                if (poll(p, 2, clock_poll_ms(deadline_ns)) <= 0 || p[1].revents)
                        return 0;
                n = recv(fd, head + have, sizeof(head) - 1 - have, 0);
                if (n <= 0)
                        return 0;
                have += (size_t)n;
        }
        return strncmp(head, "HTTP/1.", 7) == 0 ? atoi(head + 9) : 0;
}

/*
 * One fixed request of which only the status matters: by hand, since a client library costs as much
 * as the rest of a cleanup, and each start of the program that links it twice that.
 */
void fc_counters_flush(const struct fc_vm *vm)
{
        static const char request[] = "PUT /actions HTTP/1.1\r\n"
                                      "Host: localhost\r\n"
                                      "Accept: application/json\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: 30\r\n"
                                      "\r\n"
                                      "{\"action_type\":\"FlushMetrics\"}";
        uint64_t deadline = clock_ns() + FLUSH_TIMEOUT_MS * NS_PER_MS;
        _cleanup_close_ int fd = dial(vm);
        int status = 0;

        /* A fresh socket takes a request of this size whole. */
        if (fd >= 0 &&
            send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1)
                status = read_status(vm, fd, deadline);
        if (status < 200 || status > 299)
                log_debug("workload %s: counters not flushed: the VMM's API answered %d",
                          vm->spec->id, status);
}

/* Opens what the VMM left under the name of its metrics, if that is a file. */
static FILE *open_metrics(const struct fc_vm *vm, size_t *ret_size)
{
        _cleanup_close_ int fd = -1;
        char path[PATH_MAX];
        struct stat st;
        FILE *f;

        if (fs_join(path, sizeof(path), vm->dir, "metrics", NULL) < 0)
                return NULL;
        /* The VMM could write in this directory: no link, and no FIFO that would hold us up. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            st.st_size > FC_COUNTERS_FILE_MAX || !(f = fdopen(fd, "re")))
                return NULL;
        steal_fd(&fd);
        *ret_size = (size_t)st.st_size;
        return f;
}

void fc_counters_collect(const struct fc_vm *vm)
{
        size_t size = 0;
        _cleanup_fclose_ FILE *f = open_metrics(vm, &size);
        size_t room = size < FC_COUNTERS_LINE_MAX ? size + 2 : FC_COUNTERS_LINE_MAX;
        _cleanup_free_ char *line = malloc(room);
        struct prom_counter *lost = vm->spec->metrics->lost_lines;
        struct fc_counters c = {0};
        bool within = false; /* a line that is too long */

        if (!f || !line)
                prom_counter_inc(lost);
        while (f && line && fgets(line, (int)room, f)) {
                size_t n = strlen(line);
                bool whole = n && line[n - 1] == '\n';

                /* A line without its newline was torn by the VMM's death, or has no end. */
                if (!within && (!whole || fc_counters_add_line(&c, line, n - 1) < 0))
                        prom_counter_inc(lost);
                within = !whole;
        }
        fc_counters_publish(&c, vm->spec->metrics);
}
