/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/feed.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

void feed_attach(struct feed *f, int fd)
{
        fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK);
        f->fd = fd;
}

static size_t waiting(const struct feed *f)
{
        return f->pending.len - f->written;
}

bool feed_has_room(const struct feed *f, size_t n)
{
        return f->closed || waiting(f) + n <= FEED_MAX;
}

int feed_add(struct feed *f, const void *bytes, size_t n)
{
        if (f->closed || f->ended)
                return 0;
        if (f->pending.len + n > FEED_MAX) {
                buf_consume(&f->pending, f->written);
                f->written = 0;
        }
        return buf_add(&f->pending, bytes, n);
}

void feed_end(struct feed *f)
{
        f->ended = true;
}

void feed_flush(struct feed *f)
{
        while (f->fd >= 0 && waiting(f) > 0) {
                ssize_t n = write(f->fd, f->pending.data + f->written, waiting(f));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        feed_release(f);
                        return;
                }
                f->written += (size_t)n;
        }
        if (f->fd >= 0 && f->ended)
                feed_release(f);
        else if (waiting(f) == 0)
                f->pending.len = f->written = 0;
}

int feed_poll_fd(const struct feed *f)
{
        return waiting(f) > 0 ? f->fd : -1;
}

void feed_release(struct feed *f)
{
        close_fd(&f->fd);
        buf_release(&f->pending);
        f->written = 0;
        f->closed = true;
}
