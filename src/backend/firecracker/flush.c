/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/flush.h"

#include "backend/firecracker/counters.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MS_DIGITS_MAX = 15 }; /* of milliseconds since 1970; today they have 13 */

/* Connects to the VMM's API; -1 if it does not listen. Never blocks: connecting to a Unix socket
 * succeeds or fails immediately. */
static int dial(const char *dir)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || fs_join(addr.sun_path, sizeof(addr.sun_path), dir, "api.sock", NULL) < 0 ||
            connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -1;
        return steal_fd(&fd);
}

/* Waits for the first bytes of the response. Returns the HTTP status; 0 if it does not arrive by
 * the deadline, or stop_fd becomes readable first. */
static int read_status(struct fc_flush *f, int stop_fd, uint64_t deadline_ns)
{
        while (f->have < sizeof(f->head) - 1) {
                struct pollfd p[] = {{.fd = f->fd, .events = POLLIN},
                                     {.fd = stop_fd, .events = POLLIN}};
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

/* Bytes that the VMM has written so far. */
static uint64_t metrics_size(int dir_fd)
{
        struct stat st;

        if (fstatat(dir_fd, "metrics", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        return (uint64_t)st.st_size;
}

/*
 * Sends one fixed request, of which only the status matters. A client library would cost as much as
 * the rest of a cleanup, and every start of a program linked with it twice that.
 */
void fc_flush_ask(struct fc_flush *f, const char *dir, int dir_fd)
{
        static const char request[] = "PUT /actions HTTP/1.1\r\n"
                                      "Host: localhost\r\n"
                                      "Accept: application/json\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: 30\r\n"
                                      "\r\n"
                                      "{\"action_type\":\"FlushMetrics\"}";

        *f = (struct fc_flush){.asked = true,
                               .asked_ns = clock_ns(),
                               .from = metrics_size(dir_fd),
                               .fd = dial(dir)};
        /* The buffer of a fresh socket takes a request of this size whole. */
        if (f->fd >= 0 &&
            send(f->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
                close_fd(&f->fd);
}

bool fc_flush_await(struct fc_flush *f, int stop_fd, unsigned timeout_ms)
{
        uint64_t end = f->asked_ns + FC_FLUSH_TIMEOUT_MS * NS_PER_MS;
        uint64_t first = clock_ns() + timeout_ms * NS_PER_MS;
        int status;

        if (f->fd < 0)
                return true;
        status = read_status(f, stop_fd, timeout_ms && first < end ? first : end);
        f->answered = status >= 200 && status <= 299;
        if (f->fd >= 0 && clock_ns() >= end)
                close_fd(&f->fd);
        return f->fd < 0;
}

/* Opens whatever has the name of the metrics file: follows no link, does not block on a FIFO. */
static int open_metrics(int dir_fd)
{
        return openat(dir_fd, "metrics", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int fc_flush_first_ms(int dir_fd, int64_t *ret_wall_ms)
{
        static const char key[] = "{\"utc_timestamp_ms\":";
        _cleanup_close_ int fd = open_metrics(dir_fd);
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

/* Opens the metrics of a VMM that has exited; NULL if they are not a file of bounded size. */
static FILE *open_metrics_file(int dir_fd, size_t *ret_size)
{
        _cleanup_close_ int fd = open_metrics(dir_fd);
        struct stat st;
        FILE *f;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            st.st_size > FC_COUNTERS_FILE_MAX || !(f = fdopen(fd, "re")))
                return NULL;
        steal_fd(&fd);
        *ret_size = (size_t)st.st_size;
        return f;
}

void fc_flush_collect(const struct fc_flush *flush, int dir_fd, bool killed, struct fc_metrics *m)
{
        size_t size = 0;
        _cleanup_fclose_ FILE *f = open_metrics_file(dir_fd, &size);
        size_t room = size < FC_COUNTERS_LINE_MAX ? size + 2 : FC_COUNTERS_LINE_MAX;
        _cleanup_free_ char *line = malloc(room);
        struct fc_counters c = {0};
        bool within = false; /* in a line that is too long */
        bool flushed = !flush->asked || flush->answered;
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
                else if (!within && at > flush->from)
                        flushed = true; /* written, though the response got lost */
                within = !whole;
        }
        if (!flushed && !killed)
                prom_counter_inc(m->lost_counters);
        fc_counters_publish(&c, m);
}
