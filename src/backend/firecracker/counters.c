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
#include <unistd.h>

enum {
        FLUSH_TIMEOUT_MS = 250,
        MS_DIGITS_MAX = 15, /* of milliseconds since 1970; today they have 13 */
};

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

/* Waits for the beginning of the answer. The number of its status, 0 if it does not come by then, or
 * if fc_vm_stop() is called: then nobody waits for counters any more. */
static int read_status(struct fc_vm *vm, uint64_t deadline_ns)
{
        struct fc_flush *f = &vm->flush;

        while (f->have < sizeof(f->head) - 1) {
                struct pollfd p[] = {{.fd = f->fd, .events = POLLIN},
                                     {.fd = vm->stop_fd, .events = POLLIN}};
                ssize_t n;

                if (poll(p, 2, clock_poll_ms(deadline_ns)) <= 0 || p[1].revents)
                        return 0;
                n = recv(f->fd, f->head + f->have, sizeof(f->head) - 1 - f->have, 0);
                if (n <= 0) {
                        close_fd(&f->fd);
                        return 0;
                }
                f->have += (size_t)n;
        }
        close_fd(&f->fd);
        return strncmp(f->head, "HTTP/1.", 7) == 0 ? atoi(f->head + 9) : 0;
}

/* Bytes that the VMM's metrics have so far. */
static uint64_t metrics_size(const struct fc_vm *vm)
{
        char path[PATH_MAX];
        struct stat st;

        if (fs_join(path, sizeof(path), vm->dir, "metrics", NULL) < 0 || lstat(path, &st) < 0)
                return 0;
        return (uint64_t)st.st_size;
}

/*
 * One fixed request of which only the status matters: by hand, since a client library costs as much
 * as the rest of a cleanup, and each start of the program that links it twice that.
 */
void fc_counters_ask(struct fc_vm *vm)
{
        static const char request[] = "PUT /actions HTTP/1.1\r\n"
                                      "Host: localhost\r\n"
                                      "Accept: application/json\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: 30\r\n"
                                      "\r\n"
                                      "{\"action_type\":\"FlushMetrics\"}";

        vm->flush = (struct fc_flush){
                .asked = true, .asked_ns = clock_ns(), .from = metrics_size(vm), .fd = dial(vm)};
        /* A fresh socket takes a request of this size whole. */
        if (vm->flush.fd >= 0 && send(vm->flush.fd, request, sizeof(request) - 1, MSG_NOSIGNAL) !=
                                         (ssize_t)sizeof(request) - 1)
                close_fd(&vm->flush.fd);
}

bool fc_counters_await(struct fc_vm *vm, unsigned timeout_ms)
{
        struct fc_flush *f = &vm->flush;
        uint64_t end = f->asked_ns + FLUSH_TIMEOUT_MS * NS_PER_MS, first = clock_ns();
        int status;

        if (f->fd < 0)
                return true;
        first += timeout_ms * NS_PER_MS;
        status = read_status(vm, timeout_ms && first < end ? first : end);
        f->answered = status >= 200 && status <= 299;
        if (f->fd >= 0 && clock_ns() >= end)
                close_fd(&f->fd);
        return f->fd < 0;
}

/* Opens what the VMM has under the name of its metrics. The VMM could write in its directory, so this
 * follows no link, and a FIFO does not block. */
static int open_metrics(const struct fc_vm *vm)
{
        return openat(vm->dir_fd, "metrics", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int fc_counters_first_ms(const struct fc_vm *vm, int64_t *ret_wall_ms)
{
        static const char key[] = "{\"utc_timestamp_ms\":";
        _cleanup_close_ int fd = open_metrics(vm);
        char head[sizeof(key) + MS_DIGITS_MAX + 1] = "", *end;
        int64_t ms;

        /* It is the first member of the object; a file that is not one has no such beginning. */
        if (fd < 0 || read(fd, head, sizeof(head) - 1) <= 0 ||
            strncmp(head, key, sizeof(key) - 1) != 0)
                return -ENODATA;
        ms = strtoll(head + sizeof(key) - 1, &end, 10);
        if (ms <= 0 || (*end != ',' && *end != '}'))
                return -ENODATA;
        *ret_wall_ms = ms;
        return 0;
}

/* Opens the metrics of a VMM that has ended, if they are a file. */
static FILE *open_metrics_file(const struct fc_vm *vm, size_t *ret_size)
{
        _cleanup_close_ int fd = open_metrics(vm);
        struct stat st;
        FILE *f;

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
        _cleanup_fclose_ FILE *f = open_metrics_file(vm, &size);
        size_t room = size < FC_COUNTERS_LINE_MAX ? size + 2 : FC_COUNTERS_LINE_MAX;
        _cleanup_free_ char *line = malloc(room);
        struct fc_metrics *m = vm->spec->metrics;
        struct fc_counters c = {0};
        bool within = false; /* a line that is too long */
        bool flushed = !vm->flush.asked || vm->flush.answered;
        uint64_t at = 0;

        if (!f || !line)
                prom_counter_inc(m->lost_lines);
        while (f && line && fgets(line, (int)room, f)) {
                size_t n = strlen(line);
                bool whole = n && line[n - 1] == '\n';

                at += n;
                /* A line without its newline was torn by the VMM's death, or has no end. */
                if (!within && (!whole || fc_counters_add_line(&c, line, n - 1) < 0))
                        prom_counter_inc(m->lost_lines);
                else if (!within && at > vm->flush.from)
                        flushed = true; /* written, though nobody heard so */
                within = !whole;
        }
        if (!flushed && !atomic_load(&vm->stopped))
                prom_counter_inc(m->lost_counters);
        fc_counters_publish(&c, m);
}
