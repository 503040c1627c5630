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

/* Precedes the bytes of a write in the spool. */
struct spooled {
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
                return; /* the counter is at its maximum, so the descriptor is readable */
}

/* Both functions set the flag before they wake the writer, so a writer that sees wake_fd
 * readable also sees the flag. wake_fd stays readable, so a writer that polls only later does
 * not miss it. */
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

static int spool_bytes(struct writer *w, int fd, const void *bytes, size_t n)
{
        struct spooled entry = {fd, n};

        /* After a gap, later output is of no use. */
        if (w->dropped || buf_reserve(&w->spool, sizeof(entry) + n) < 0) {
                w->dropped += n;
                return 0;
        }
        buf_add(&w->spool, &entry, sizeof(entry));
        buf_add(&w->spool, bytes, n);
        return 0;
}

/* Returns 0 if fd accepts bytes, or has an error that write() will report. */
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

/* Writes the bytes unfiltered, at most `max` per write(). */
static int write_exactly(struct writer *w, int fd, const void *bytes, size_t n, size_t max)
{
        const char *p = bytes;

        if (w->spool.len)
                return spool_bytes(w, fd, bytes, n);
        while (n > 0) {
                int r = wait_for_room(w, fd);
                ssize_t done;

                if (r == -ECANCELED && atomic_load(&w->spooling) && !atomic_load(&w->interrupted))
                        return spool_bytes(w, fd, p, n);
                if (r < 0)
                        return r;
                done = write(fd, p, n < max ? n : max);
                if (done < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (done > 0) {
                        p += done;
                        n -= (size_t)done;
                }
        }
        return 0;
}

/* A regular file never blocks. If poll() reports a pipe writable, it accepts PIPE_BUF bytes. */
static size_t max_write(const struct stat *st)
{
        return S_ISREG(st->st_mode) ? SIZE_MAX : PIPE_BUF;
}

int writer_write(struct writer *w, int fd, const void *bytes, size_t n)
{
        struct terminal_filter *filter = &w->filters[fd == STDERR_FILENO];
        _cleanup_buf_ struct buf filtered = BUF_INIT(n + sizeof(filter->held));
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || !terminal_is(fd))
                return write_exactly(w, fd, bytes, n, max_write(&st));
        r = terminal_filter(filter, bytes, n, &filtered);
        return r < 0 ? r : write_exactly(w, fd, filtered.data, filtered.len, PIPE_BUF);
}

int writer_flush(struct writer *w, int stop_fd)
{
        struct writer waiting = {.wake_fd = stop_fd};
        const char *at = w->spool.data, *end = at + w->spool.len;
        struct spooled entry;
        struct stat st;
        uint64_t n;
        int r = 0;

        /* Later writes block again, unless the writer was interrupted. */
        if (atomic_exchange(&w->spooling, false) && !atomic_load(&w->interrupted) &&
            read(w->wake_fd, &n, sizeof(n)) < 0)
                return -errno;
        for (; at < end && r == 0; at += entry.n) {
                memcpy(&entry, at, sizeof(entry));
                at += sizeof(entry);
                /* The spool holds filtered bytes; filtering them again would be wrong, since a
                 * write may begin in the middle of a character. */
                r = fstat(entry.fd, &st) < 0
                            ? -errno
                            : write_exactly(&waiting, entry.fd, at, entry.n, max_write(&st));
        }
        buf_release(&w->spool);
        return r;
}
