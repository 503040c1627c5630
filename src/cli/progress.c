/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

void progress_init(struct progress *p, int fd)
{
        *p = (struct progress){.fd = fd};
        pthread_mutex_init(&p->lock, NULL);
}

void progress_release(struct progress *p)
{
        progress_end(p);
        pthread_mutex_destroy(&p->lock);
}

void progress_begin(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->since_ns = clock_ns();
        pthread_mutex_unlock(&p->lock);
}

/* Only where there is room: a terminal that was stopped with Ctrl-S must not stop us. */
static bool put(int fd, const char *text, size_t n)
{
        struct pollfd room = {fd, POLLOUT, 0};

        return poll(&room, 1, 0) == 1 && write(fd, text, n) == (ssize_t)n;
}

void progress_tick(struct progress *p)
{
        char line[80];
        int n;

        if (p->fd < 0)
                return;
        pthread_mutex_lock(&p->lock);
        if (p->since_ns) {
                n = snprintf(line, sizeof(line), "\r\033[Kbooting the microVM, %.1f s",
                             ns_to_s(clock_ns() - p->since_ns));
                if (put(p->fd, line, (size_t)n))
                        p->drawn = true;
        }
        pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->since_ns = 0;
        if (p->drawn)
                put(p->fd, "\r\033[K", 4);
        p->drawn = false;
        pthread_mutex_unlock(&p->lock);
}
