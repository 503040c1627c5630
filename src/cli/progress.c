/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"
#include "base/thread.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

void progress_init(struct progress *p, int fd, const char *what)
{
        *p = (struct progress){.fd = fd, .what = what};
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->changed, NULL);
}

void progress_release(struct progress *p)
{
        if (p->runs) {
                pthread_mutex_lock(&p->lock);
                p->quit = true;
                pthread_cond_signal(&p->changed);
                pthread_mutex_unlock(&p->lock);
                pthread_join(p->thread, NULL);
        }
        progress_end(p);
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
}

void progress_begin(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->since_ns = clock_ns();
        pthread_mutex_unlock(&p->lock);
}

/* Writes only if the terminal accepts bytes: a terminal stopped with Ctrl-S must not block us. */
static bool put(int fd, const char *text, size_t n)
{
        struct pollfd room = {fd, POLLOUT, 0};

        return poll(&room, 1, 0) == 1 && write(fd, text, n) == (ssize_t)n;
}

/* The lock is held. */
static void draw(struct progress *p)
{
        char line[80];
        int n;

        if (!p->since_ns)
                return;
        n = snprintf(line, sizeof(line), "\r\033[K%.40s, %.1f s", p->what,
                     ns_to_s(clock_ns() - p->since_ns));
        if (put(p->fd, line, (size_t)n))
                p->drawn = true;
}

void progress_tick(struct progress *p)
{
        if (p->fd < 0)
                return;
        pthread_mutex_lock(&p->lock);
        draw(p);
        pthread_mutex_unlock(&p->lock);
}

static void *tick_on(void *arg)
{
        struct progress *p = arg;

        pthread_mutex_lock(&p->lock);
        while (!p->quit) {
                uint64_t next = clock_ns() + PROGRESS_PERIOD_MS * NS_PER_MS;

                clock_cond_wait(&p->changed, &p->lock, next);
                draw(p);
        }
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

void progress_run(struct progress *p)
{
        if (p->fd >= 0)
                p->runs = thread_start(&p->thread, "cli-progress", 0, tick_on, p, NULL) == 0;
}

/* The lock orders this with draw(): after it, since_ns is 0 and no tick draws, so the line cannot
 * reappear in the program's output. */
void progress_end(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->since_ns = 0;
        if (p->drawn)
                put(p->fd, "\r\033[K", 4);
        p->drawn = false;
        pthread_mutex_unlock(&p->lock);
}
