/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/remains.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>

enum {
        FIRST_LOOK_MS = 20, /* at a group without its leader; each next one takes twice that */
        LAST_LOOK_MS = 1000,
};

struct entry {
        struct fc_remain what;
        uint64_t next_ns; /* when to look again, whatever happens */
        unsigned pause_ms;
        bool process;      /* it is waited for; afterwards its directory */
        bool leader_ended; /* its pidfd has nothing new */
        bool told;
        TAILQ_ENTRY(entry) at;
};

TAILQ_HEAD(entry_list, entry);

struct fc_remains {
        struct fc_metrics *metrics;
        int wake_fd; /* eventfd: entries came, or it is over */
        bool has_thread;
        pthread_t thread;
        struct pollfd polled[FC_REMAINS_MAX + 1]; /* the thread's */

        pthread_mutex_t lock; /* guards all below; held briefly */
        struct entry_list coming;
        size_t n;
        bool quit;
};

/* ---- directories ---- */

/* True if the directory has no name any more. */
static bool is_unlinked(int dir_fd)
{
        struct stat st;

        return fstat(dir_fd, &st) == 0 && st.st_nlink == 0;
}

/* Removes an empty directory by the name that it has now. */
static int remove_where_it_is(int dir_fd, struct err *err)
{
        char link[64], path[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n <= 0)
                return err_errno(err, "cannot find out where the directory was moved to");
        path[n] = '\0';
        return rmdir(path) < 0 ? err_errno(err, "cannot remove %s", path) : 0;
}

int fc_remove_vm_dir(int dir_fd, const char *dir, size_t max, struct err *err)
{
        /* What is known to be in it by name: that needs no descriptor, of which there may be none. */
        static const char *const files[] = {"v.sock",      "api.sock", "v.sock_5000", "vmm.log",
                                            "config.json", "metrics",  "vmm"};
        int r;

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                unlinkat(dir_fd, files[i], 0);
        if (rmdir(dir) == 0 && is_unlinked(dir_fd))
                return 0;
        if ((r = fs_empty_dir(dir_fd, max, err)) < 0)
                return err_wrap(err, "%s", dir);
        if (!is_unlinked(dir_fd) && (r = remove_where_it_is(dir_fd, err)) < 0)
                return r;
        return fs_remove_tree(dir, err); /* what somebody put in its place */
}

/* ---- one entry ---- */

static struct prom_gauge *gauge_of(struct fc_remains *r, const struct entry *e)
{
        return r->metrics->remains[e->process ? FC_REMAINS_PROCESS : FC_REMAINS_DIRECTORY];
}

/* The process is gone, or given up: the VM is no longer one. */
static void end_process(struct fc_remains *r, struct entry *e)
{
        prom_gauge_dec(gauge_of(r, e));
        e->process = false;
        prom_gauge_inc(gauge_of(r, e));
        close_fd(&e->what.proc.pidfd);
        if (e->what.active)
                prom_gauge_dec(r->metrics->active);
}

/* True when nothing of the process lives. */
static bool reap(struct fc_remains *r, struct entry *e)
{
        struct pollfd p = {.fd = e->what.proc.pidfd, .events = POLLIN};
        int status = 0;

        e->leader_ended = poll(&p, 1, 0) == 1;
        if (!e->leader_ended)
                return false;
        if (e->what.orphan) {
                prom_counter_inc(r->metrics->leaks[FC_LEAK_PROCESS]);
                return true;
        }
        if (proc_reap_within(&e->what.proc, 0, &status, NULL) < 0)
                return false;
        fc_metrics_count_exit(r->metrics, status, e->what.killed_by_us);
        return true;
}

/* One look. True when nothing is left of it. */
static bool look_at(struct fc_remains *r, struct entry *e)
{
        struct err err = ERR_INIT;
        int left = 0;

        if (e->process) {
                if (!reap(r, e)) {
                        e->pause_ms =
                                e->pause_ms * 2 < LAST_LOOK_MS ? e->pause_ms * 2 : LAST_LOOK_MS;
                        e->next_ns = clock_ns() + e->pause_ms * NS_PER_MS;
                        return false;
                }
                log_info("workload %s: its VMM has ended", e->what.id);
                end_process(r, e);
        }
        if (e->what.dir_fd >= 0)
                left = fc_remove_vm_dir(e->what.dir_fd, e->what.dir, FC_REMAINS_DIR_FILES, &err);
        if (left == 0) {
                if (e->what.orphan)
                        prom_counter_inc(r->metrics->leaks[FC_LEAK_DIRECTORY]);
                return true;
        }
        e->next_ns = left == -EAGAIN ? clock_ns() : clock_ns() + FC_REMAINS_DIR_RETRY_S * NS_PER_S;
        if (left != -EAGAIN && !e->told)
                log_error("workload %s: %s; tried again every %d s", e->what.id, err.msg,
                          FC_REMAINS_DIR_RETRY_S);
        e->told = e->told || left != -EAGAIN;
        return false;
}

/* Takes an entry off the books. */
static void drop(struct fc_remains *r, struct entry_list *list, struct entry *e)
{
        prom_gauge_dec(gauge_of(r, e));
        close_fd(&e->what.dir_fd);
        TAILQ_REMOVE(list, e, at);
        free(e);
        pthread_mutex_lock(&r->lock);
        r->n--;
        pthread_mutex_unlock(&r->lock);
}

/* ---- the thread ---- */

/* Sleeps until a process ends, entries come, or `until_ns`. */
static void rest(struct fc_remains *r, struct entry_list *list, uint64_t until_ns)
{
        struct pollfd *polled = r->polled;
        uint64_t wakes;
        nfds_t n = 0;
        struct entry *e;

        polled[n++] = (struct pollfd){.fd = r->wake_fd, .events = POLLIN};
        TAILQ_FOREACH(e, list, at)
        {
                if (e->process && !e->leader_ended)
                        polled[n++] = (struct pollfd){.fd = e->what.proc.pidfd, .events = POLLIN};
                if (e->next_ns < until_ns || !until_ns)
                        until_ns = e->next_ns;
        }
        if (poll(polled, n, clock_poll_ms(until_ns)) > 0 && polled[0].revents &&
            read(r->wake_fd, &wakes, sizeof(wakes)) < 0)
                log_error("remains: eventfd: %s", strerror(errno));
}

/* What does not end until the program does is left to the next start. */
static void give_up(struct fc_remains *r, struct entry_list *list)
{
        struct entry *e;

        while ((e = TAILQ_FIRST(list)) != NULL) {
                if (e->process) {
                        log_error("workload %s: the VMM was killed but does not end; see "
                                  "/proc/%d/stack for what holds it; left to the next start",
                                  e->what.id, (int)e->what.proc.pid);
                        if (!e->what.orphan)
                                fc_metrics_count_stuck(r->metrics);
                        end_process(r, e);
                }
                drop(r, list, e);
        }
}

static bool any_process(const struct entry_list *list)
{
        struct entry *e;

        TAILQ_FOREACH(e, list, at)
        {
                if (e->process)
                        return true;
        }
        return false;
}

static void *attend(void *arg)
{
        struct fc_remains *r = arg;
        struct entry_list list = TAILQ_HEAD_INITIALIZER(list);
        uint64_t end_ns = 0;

        for (;;) {
                struct entry *e, *next;
                bool quit;

                pthread_mutex_lock(&r->lock);
                TAILQ_CONCAT(&list, &r->coming, at);
                quit = r->quit;
                pthread_mutex_unlock(&r->lock);
                for (e = TAILQ_FIRST(&list); e; e = next) {
                        struct pollfd p = {.fd = e->what.proc.pidfd, .events = POLLIN};
                        bool due = clock_ns() >= e->next_ns;

                        next = TAILQ_NEXT(e, at);
                        if (!due && e->process && !e->leader_ended)
                                due = poll(&p, 1, 0) == 1;
                        if (due && look_at(r, e))
                                drop(r, &list, e);
                }
                if (quit && !end_ns)
                        end_ns = clock_ns() + FC_REMAINS_STOP_MS * NS_PER_MS;
                if (quit && (clock_ns() >= end_ns || !any_process(&list)))
                        break;
                rest(r, &list, end_ns);
        }
        give_up(r, &list);
        return NULL;
}

/* With the lock. */
static void ensure_thread(struct fc_remains *r)
{
        if (!r->has_thread)
                r->has_thread = thread_start(&r->thread, "fc-remains", 0, attend, r, NULL) == 0;
}

static void wake(struct fc_remains *r)
{
        uint64_t one = 1;

        if (write(r->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
                log_error("remains: eventfd: %s", strerror(errno));
}

struct fc_remains *fc_remains_new(struct fc_metrics *metrics)
{
        struct fc_remains *r = calloc(1, sizeof(*r));

        if (!r)
                return NULL;
        r->metrics = metrics;
        r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (r->wake_fd < 0) {
                free(r);
                return NULL;
        }
        TAILQ_INIT(&r->coming);
        pthread_mutex_init(&r->lock, NULL);
        return r;
}

bool fc_remains_take(struct fc_remains *r, const struct fc_remain *what)
{
        struct entry *e = r ? calloc(1, sizeof(*e)) : NULL;
        bool taken;

        if (!e)
                return false;
        e->what = *what;
        e->process = what->proc.pidfd >= 0;
        e->pause_ms = FIRST_LOOK_MS;
        pthread_mutex_lock(&r->lock);
        if (r->n < FC_REMAINS_MAX)
                ensure_thread(r);
        taken = r->n < FC_REMAINS_MAX && r->has_thread;
        if (taken) {
                prom_gauge_inc(gauge_of(r, e));
                TAILQ_INSERT_TAIL(&r->coming, e, at);
                r->n++;
        }
        pthread_mutex_unlock(&r->lock);
        if (taken)
                wake(r);
        else
                free(e);
        return taken;
}

void fc_remains_free(struct fc_remains *r)
{
        if (!r)
                return;
        pthread_mutex_lock(&r->lock);
        r->quit = true;
        pthread_mutex_unlock(&r->lock);
        wake(r);
        if (r->has_thread)
                pthread_join(r->thread, NULL);
        close_fd(&r->wake_fd);
        pthread_mutex_destroy(&r->lock);
        free(r);
}
