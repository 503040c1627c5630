/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/writer.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* What stands in the spool before the bytes of a write. */
struct kept {
        int fd;
        size_t n;
};

int writer_init(struct writer *w, struct err *err)
{
        *w = (struct writer)WRITER_INIT;
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return w->wake_fd < 0 ? err_errno(err, "eventfd") : 0;
}

void writer_release(struct writer *w)
{
        close_fd(&w->wake_fd);
        buf_release(&w->spool);
}

static void wake(struct writer *w)
{
        uint64_t one = 1;

        if (write(w->wake_fd, &one, sizeof(one)) < 0)
                return; /* the counter is full: it is readable already */
}

void writer_interrupt(struct writer *w)
{
        atomic_store(&w->interrupted, true);
        wake(w);
}

void writer_spool(struct writer *w)
{
        atomic_store(&w->spooling, true);
        wake(w);
}

static int keep(struct writer *w, int fd, const void *bytes, size_t n)
{
        struct kept kept = {fd, n};

        /* Once something is missing, what comes behind it is of no use. */
        if (w->dropped || buf_reserve(&w->spool, sizeof(kept) + n) < 0) {
                w->dropped += n;
                return 0;
        }
        buf_add(&w->spool, &kept, sizeof(kept));
        buf_add(&w->spool, bytes, n);
        return 0;
}

/* 0 when fd takes bytes (or has an error, which write() then reports). */
static int wait_for_room(struct writer *w, int fd)
{
        struct pollfd fds[] = {{fd, POLLOUT, 0}, {w->wake_fd, POLLIN, 0}};

        for (;;) {
                if (poll(fds, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (fds[0].revents)
                        return 0;
                if (fds[1].revents)
                        return -ECANCELED;
        }
}

/* Writes the bytes as they are. `most`: so many at once. */
static int write_exactly(struct writer *w, int fd, const void *bytes, size_t n, size_t most)
{
        const char *p = bytes;

        if (w->spool.len)
                return keep(w, fd, bytes, n);
        while (n > 0) {
                int r = wait_for_room(w, fd);
                ssize_t done;

                if (r == -ECANCELED && atomic_load(&w->spooling) && !atomic_load(&w->interrupted))
                        return keep(w, fd, p, n);
                if (r < 0)
                        return r;
                done = write(fd, p, n < most ? n : most);
                if (done < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (done > 0) {
                        p += done;
                        n -= (size_t)done;
                }
        }
        return 0;
}

/* A file never makes us wait; of a pipe that has room a page is free. */
static size_t most_at_once(const struct stat *st)
{
        return S_ISREG(st->st_mode) ? SIZE_MAX : PIPE_BUF;
}

int writer_write(struct writer *w, int fd, const void *bytes, size_t n)
{
        struct terminal_filter *filter = &w->filters[fd == STDERR_FILENO];
        _cleanup_buf_ struct buf harmless = BUF_INIT(n + sizeof(filter->held));
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || !terminal_is(fd))
                return write_exactly(w, fd, bytes, n, most_at_once(&st));
        r = terminal_filter(filter, bytes, n, &harmless);
        return r < 0 ? r : write_exactly(w, fd, harmless.data, harmless.len, PIPE_BUF);
}

int writer_flush(struct writer *w, int stop_fd)
{
        struct writer waiting = {.wake_fd = stop_fd};
        const char *at = w->spool.data, *end = at + w->spool.len;
        struct kept kept;
        struct stat st;
        uint64_t n;
        int r = 0;

        /* Those who write from now on may wait again, unless they were interrupted. */
        if (atomic_exchange(&w->spooling, false) && !atomic_load(&w->interrupted) &&
            read(w->wake_fd, &n, sizeof(n)) < 0)
                return -errno;
        for (; at < end && r == 0; at += kept.n) {
                memcpy(&kept, at, sizeof(kept));
                at += sizeof(kept);
                /* It has been through the filter, and may begin in the middle of a character. */
                r = fstat(kept.fd, &st) < 0
                            ? -errno
                            : write_exactly(&waiting, kept.fd, at, kept.n, most_at_once(&st));
        }
        buf_release(&w->spool);
        return r;
}
