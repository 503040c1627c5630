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
        CHECK_FIRST_MS =
                20, /* interval of checks on a group without its leader; doubles each time */
        CHECK_MAX_MS = 1000,
};

struct entry {
        struct fc_remain what;
        uint64_t next_ns; /* time of the next check if no event comes before */
        unsigned interval_ms;
        bool process;       /* waits for the processes; later for the directory */
        bool leader_exited; /* the pidfd will signal no more events */
        bool reported;      /* the log has the error */
        TAILQ_ENTRY(entry) at;
};

TAILQ_HEAD(entry_list, entry);

struct fc_remains {
        struct fc_metrics *metrics;
        int wake_fd; /* eventfd: entries were added, or `quit` was set */
        bool has_thread;
        pthread_t thread;
        struct pollfd polled[FC_REMAINS_MAX + 1]; /* of the thread */

        pthread_mutex_t lock;    /* guards all below; held briefly */
        struct entry_list added; /* the thread moves them to its own list, which needs no lock */
        size_t n;
        bool quit;
};

/* ---- directories ---- */

/* True if the directory has been removed. */
static bool is_unlinked(int dir_fd)
{
        struct stat st;

        return fstat(dir_fd, &st) == 0 && st.st_nlink == 0;
}

/* Removes an empty directory by its current name. */
static int remove_where_it_is(int dir_fd, struct err *err)
{
        char link[64], path[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n <= 0)
                return err_errno(err, "cannot find the new name of a directory that was moved");
        path[n] = '\0';
        return rmdir(path) < 0 ? err_errno(err, "cannot remove %s", path) : 0;
}

int fc_remove_vm_dir(int dir_fd, const char *dir, size_t max, struct err *err)
{
        /* Unlinking the usual files by name needs no descriptor; there may be none left. */
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
        return fs_remove_tree(dir, err); /* whatever has taken its place */
}

/* ---- one entry ---- */

static struct prom_gauge *gauge_of(struct fc_remains *r, const struct entry *e)
{
        return r->metrics->remains[e->process ? FC_REMAINS_PROCESS : FC_REMAINS_DIRECTORY];
}

/* The processes are gone, or were given up: the entry is now about the directory. */
static void end_process(struct fc_remains *r, struct entry *e)
{
        prom_gauge_dec(gauge_of(r, e));
        e->process = false;
        prom_gauge_inc(gauge_of(r, e));
        close_fd(&e->what.proc.pidfd);
        if (e->what.active)
                prom_gauge_dec(r->metrics->active);
}

/* True once no process of the VM exists. */
static bool reap(struct fc_remains *r, struct entry *e)
{
        struct pollfd p = {.fd = e->what.proc.pidfd, .events = POLLIN};
        int status = 0;

        e->leader_exited = poll(&p, 1, 0) == 1;
        if (!e->leader_exited)
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

/* Checks an entry and does what can be done. True once nothing is left of the VM. */
static bool check(struct fc_remains *r, struct entry *e)
{
        struct err err = ERR_INIT;
        int left = 0;

        if (e->process) {
                if (!reap(r, e)) {
                        e->interval_ms = e->interval_ms * 2 < CHECK_MAX_MS ? e->interval_ms * 2
                                                                           : CHECK_MAX_MS;
                        e->next_ns = clock_ns() + e->interval_ms * NS_PER_MS;
                        return false;
                }
                log_info("workload %s: its VMM has exited", e->what.id);
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
        if (left != -EAGAIN && !e->reported)
                log_error("workload %s: %s; retried every %d s", e->what.id, err.msg,
                          FC_REMAINS_DIR_RETRY_S);
        e->reported = e->reported || left != -EAGAIN;
        return false;
}

/* Removes and frees an entry. */
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

/* Waits for a process to exit, for new entries, for the next check, or until `until_ns` (0:
 * never). */
static void await_event(struct fc_remains *r, struct entry_list *list, uint64_t until_ns)
{
        struct pollfd *polled = r->polled;
        uint64_t wakes;
        nfds_t n = 0;
        struct entry *e;

        polled[n++] = (struct pollfd){.fd = r->wake_fd, .events = POLLIN};
        TAILQ_FOREACH(e, list, at)
        {
                if (e->process && !e->leader_exited)
                        polled[n++] = (struct pollfd){.fd = e->what.proc.pidfd, .events = POLLIN};
                if (e->next_ns < until_ns || !until_ns)
                        until_ns = e->next_ns;
        }
        if (poll(polled, n, clock_poll_ms(until_ns)) > 0 && polled[0].revents &&
            read(r->wake_fd, &wakes, sizeof(wakes)) < 0)
                log_error("remains: eventfd: %s", strerror(errno));
}

/* Drops the entries that are left when the program exits; the next start reclaims them. */
static void give_up(struct fc_remains *r, struct entry_list *list)
{
        struct entry *e;

        while ((e = TAILQ_FIRST(list)) != NULL) {
                if (e->process) {
                        log_error("workload %s: the VMM was killed but does not exit (see "
                                  "/proc/%d/stack for the reason); the next start reclaims it",
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

static void *complete_cleanups(void *arg)
{
        struct fc_remains *r = arg;
        struct entry_list list = TAILQ_HEAD_INITIALIZER(list);
        uint64_t end_ns = 0;

        for (;;) {
                struct entry *e, *next;
                bool quit;

                pthread_mutex_lock(&r->lock);
                TAILQ_CONCAT(&list, &r->added, at);
                quit = r->quit;
                pthread_mutex_unlock(&r->lock);
                for (e = TAILQ_FIRST(&list); e; e = next) {
                        struct pollfd p = {.fd = e->what.proc.pidfd, .events = POLLIN};
                        bool due = clock_ns() >= e->next_ns;

                        next = TAILQ_NEXT(e, at);
                        if (!due && e->process && !e->leader_exited)
                                due = poll(&p, 1, 0) == 1;
                        if (due && check(r, e))
                                drop(r, &list, e);
                }
                if (quit && !end_ns)
                        end_ns = clock_ns() + FC_REMAINS_STOP_MS * NS_PER_MS;
                if (quit && (clock_ns() >= end_ns || !any_process(&list)))
                        break;
                await_event(r, &list, end_ns);
        }
        give_up(r, &list);
        return NULL;
}

/* Starts the thread if there is none. With the lock. */
static void ensure_thread(struct fc_remains *r)
{
        if (!r->has_thread)
                r->has_thread =
                        thread_start(&r->thread, "fc-remains", 0, complete_cleanups, r, NULL) == 0;
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
        TAILQ_INIT(&r->added);
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
        e->interval_ms = CHECK_FIRST_MS;
        pthread_mutex_lock(&r->lock);
        if (r->n < FC_REMAINS_MAX)
                ensure_thread(r);
        taken = r->n < FC_REMAINS_MAX && r->has_thread;
        if (taken) {
                prom_gauge_inc(gauge_of(r, e));
                TAILQ_INSERT_TAIL(&r->added, e, at);
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
