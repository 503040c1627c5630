/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_writer.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
        pthread_mutex_t lock; /* guards the next four */
        pthread_cond_t changed;
        struct buf waiting;  /* whole lines */
        uint64_t unreported; /* lines dropped since the last one that was queued */
        uint64_t stop_ns;    /* when to give up; 0: not stopping */
        _Atomic uint64_t dropped;
        int stop_fd; /* eventfd: readable once stop_ns is set */
        pthread_t thread;
        bool started;
} writer = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .waiting = {.max = LOG_QUEUE_MAX},
        .stop_fd = -1,
};

static _Thread_local bool is_writer;

/* Waits until standard error accepts bytes. False if the deadline for stopping has passed. */
static bool wait_for_room(void)
{
        struct pollfd p[] = {{.fd = STDERR_FILENO, .events = POLLOUT},
                             {.fd = writer.stop_fd, .events = POLLIN}};

        for (;;) {
                uint64_t stop_ns;

                pthread_mutex_lock(&writer.lock);
                stop_ns = writer.stop_ns;
                pthread_mutex_unlock(&writer.lock);
                p[1].events = stop_ns ? 0 : POLLIN; /* it stays readable: poll it once */
                if (poll(p, 2, clock_poll_ms(stop_ns)) < 0 && errno != EINTR)
                        return false;
                if (p[0].revents)
                        return true;
                if (stop_ns && stop_ns <= clock_ns())
                        return false;
        }
}

/* Writes at most PIPE_BUF bytes at a time: POLLOUT on a pipe means that this many fit, so write()
 * does not block. False if the thread should give up. */
static bool put(const char *at, size_t n)
{
        while (n) {
                ssize_t done;

                if (!wait_for_room())
                        return false;
                done = write(STDERR_FILENO, at, n < PIPE_BUF ? n : PIPE_BUF);
                if (done < 0 && errno != EINTR && errno != EAGAIN)
                        return true; /* no reader: drop these lines, but later ones may be read */
                if (done > 0) {
                        at += done;
                        n -= (size_t)done;
                }
        }
        return true;
}

static void *run(void *arg)
{
        struct buf lines = {.max = LOG_QUEUE_MAX};
        bool go_on = true;

        is_writer = true; /* its message about dropped lines must not enter the queue */
        pthread_mutex_lock(&writer.lock);
        while (go_on) {
                struct buf taken = writer.waiting;
                uint64_t unreported = writer.unreported;

                if (!taken.len && !unreported) {
                        if (writer.stop_ns)
                                break;
                        pthread_cond_wait(&writer.changed, &writer.lock);
                        continue;
                }
                writer.waiting = lines;
                writer.unreported = 0;
                pthread_mutex_unlock(&writer.lock);
                go_on = put(taken.data, taken.len);
                taken.len = 0;
                lines = taken;
                if (unreported && go_on && wait_for_room())
                        log_warn("%" PRIu64 " lines were dropped here: standard error was blocked",
                                 unreported);
                pthread_mutex_lock(&writer.lock);
        }
        pthread_mutex_unlock(&writer.lock);
        buf_release(&lines);
        return NULL;
}

static bool take(const char *line, size_t n)
{
        bool taken;

        if (is_writer)
                return put(line, n);
        pthread_mutex_lock(&writer.lock);
        /* Once a line was dropped, later ones are dropped too until the writer has reported it: so
         * the report stands where the lines are missing. */
        taken = !writer.unreported && buf_add(&writer.waiting, line, n) == 0;
        if (!taken) {
                writer.unreported++;
                atomic_fetch_add(&writer.dropped, 1);
        }
        pthread_cond_signal(&writer.changed);
        pthread_mutex_unlock(&writer.lock);
        return taken;
}

int log_writer_start(struct err *err)
{
        int r;

        writer.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (writer.stop_fd < 0)
                return err_errno(err, "eventfd");
        pthread_cond_init(&writer.changed, NULL);
        writer.stop_ns = 0;
        r = thread_start(&writer.thread, "log-writer", 0, run, NULL, err);
        if (r < 0) {
                close_fd(&writer.stop_fd);
                return r;
        }
        writer.started = true;
        log_set_sink(take);
        return 0;
}

void log_writer_stop(void)
{
        uint64_t one = 1;

        if (!writer.started)
                return;
        log_set_sink(NULL);
        pthread_mutex_lock(&writer.lock);
        writer.stop_ns = clock_ns() + LOG_STOP_MS * NS_PER_MS;
        pthread_cond_signal(&writer.changed);
        pthread_mutex_unlock(&writer.lock);
        if (write(writer.stop_fd, &one, sizeof(one)) < 0)
                return; /* a fresh eventfd takes a 1 */
        pthread_join(writer.thread, NULL);
        close_fd(&writer.stop_fd);
        pthread_cond_destroy(&writer.changed);
        buf_release(&writer.waiting);
        writer.started = false;
}

uint64_t log_writer_dropped(void)
{
        return atomic_load(&writer.dropped);
}
