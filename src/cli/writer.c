/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/writer.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

int writer_init(struct writer *w, struct err *err)
{
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return w->wake_fd < 0 ? err_errno(err, "eventfd") : 0;
}

void writer_release(struct writer *w)
{
        close_fd(&w->wake_fd);
}

void writer_interrupt(struct writer *w)
{
        uint64_t one = 1;

        if (write(w->wake_fd, &one, sizeof(one)) < 0)
                return; /* the counter is full: it is readable already */
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

        /* A file never makes us wait; of a pipe that has room a page is free. */
        most = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? SIZE_MAX : PIPE_BUF;
        while (n > 0) {
                int r = wait_for_room(w, fd);
                ssize_t done;

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
