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

int writer_write(struct writer *w, int fd, const void *bytes, size_t n)
{
        const char *p = bytes;
        struct stat st;
        size_t most;

        if (w->spool.len)
                return keep(w, fd, bytes, n);
        /* A file never makes us wait; of a pipe that has room a page is free. */
        most = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? SIZE_MAX : PIPE_BUF;
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

int writer_flush(struct writer *w, int stop_fd)
{
        struct writer waiting = {.wake_fd = stop_fd};
        const char *at = w->spool.data, *end = at + w->spool.len;
        struct kept kept;
        uint64_t n;
        int r = 0;

        /* Those who write from now on may wait again, unless they were interrupted. */
        if (atomic_exchange(&w->spooling, false) && !atomic_load(&w->interrupted) &&
            read(w->wake_fd, &n, sizeof(n)) < 0)
                return -errno;
        for (; at < end && r == 0; at += kept.n) {
                memcpy(&kept, at, sizeof(kept));
                at += sizeof(kept);
                r = writer_write(&waiting, kept.fd, at, kept.n);
        }
        buf_release(&w->spool);
        return r;
}
