/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/reclaim.h"

#include "backend/firecracker/vm.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { EXIT_WAIT_MS = 2000 }; /* for all VMMs together */

struct reclaim {
        const char *vms_dir;
        struct fc_metrics *metrics;
        struct fc_remains *remains;
        uint64_t deadline_ns;
};

static void count_leak(struct fc_metrics *m, enum fc_leak kind)
{
        prom_counter_inc(m->leaks[kind]);
}

/* Kills the VMM that the directory names, if that same process still runs, and waits for its exit.
 * False if it does not exit in time: then *ret has it. */
static bool kill_vmm(const struct reclaim *r, const char *dir, struct proc *ret)
{
        _cleanup_buf_ struct buf text = BUF_INIT(64);
        _cleanup_close_ int pidfd = -1;
        unsigned long long start;
        char path[PATH_MAX];
        struct pollfd p;
        int pid;

        if (fs_join(path, sizeof(path), dir, "vmm", NULL) < 0 || fs_read(path, &text, NULL) < 0 ||
            sscanf(text.data, "%d %llu", &pid, &start) != 2 || pid <= 1)
                return true;
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        /* The pidfd is opened before the start time is compared: if the pid is reused afterwards,
         * the descriptor still refers to the process that was compared. */
        if (pidfd < 0 || !proc_is_alive(pid, start))
                return true;
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        kill(-pid, SIGKILL);
        p = (struct pollfd){.fd = pidfd, .events = POLLIN};
        if (poll(&p, 1, clock_poll_ms(r->deadline_ns)) == 1) {
                count_leak(r->metrics, FC_LEAK_PROCESS);
                return true;
        }
        log_warn("the VMM of %s was killed but has not exited: see /proc/%d/stack", dir, pid);
        *ret = (struct proc){.pid = pid, .pidfd = steal_fd(&pidfd), .start_time = start};
        return false;
}

/* Removes an entry that has a VM's name and is not a directory: a VMM must have put it there. */
static bool reclaim_file(const char *path, struct fc_metrics *m)
{
        struct stat st;

        if (lstat(path, &st) < 0 || S_ISDIR(st.st_mode) || unlink(path) < 0)
                return false;
        count_leak(m, FC_LEAK_DIRECTORY);
        return true;
}

/* True if the directory was an orphan and has been removed. */
static bool reclaim_dir(const struct reclaim *r, const char *name)
{
        struct fc_remain left = {.dir_fd = -1, .proc = PROC_INIT, .orphan = true};
        _cleanup_close_ int fd = -1;
        struct err err = ERR_INIT;
        struct stat st;

        if (fs_join(left.dir, sizeof(left.dir), r->vms_dir, name, &err) < 0)
                return false;
        fd = open(left.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return reclaim_file(left.dir, r->metrics);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return false; /* its owner is alive */
        if (fstat(fd, &st) < 0 || st.st_nlink == 0)
                return false; /* its owner has just removed it, so nothing leaked */
        if (kill_vmm(r, left.dir, &left.proc)) {
                if (fc_remove_vm_dir(fd, left.dir, FC_REMAINS_DIR_FILES, &err) == 0) {
                        count_leak(r->metrics, FC_LEAK_DIRECTORY);
                        return true;
                }
                if (err.code != EAGAIN)
                        log_error("%s", err.msg);
        }
        snprintf(left.id, sizeof(left.id), "%s", name);
        left.dir_fd = fd;
        if (fc_remains_take(r->remains, &left))
                steal_fd(&fd);
        else
                close_fd(&left.proc.pidfd);
        return false;
}

/* True for a VM's directory, under its final name or the one before it is locked. */
static bool is_ours(const char *name)
{
        size_t n = strlen(FC_NEW_PREFIX);

        return ulid_is_valid(name) || strncmp(name, FC_NEW_PREFIX, n) == 0;
}

int fc_reclaim(const char *vms_dir, struct fc_metrics *metrics, struct fc_remains *remains,
               struct err *err)
{
        struct reclaim r = {.vms_dir = vms_dir,
                            .metrics = metrics,
                            .remains = remains,
                            .deadline_ns = clock_ns() + EXIT_WAIT_MS * NS_PER_MS};
        _cleanup_closedir_ DIR *d = opendir(vms_dir);
        struct dirent *e;
        int n = 0, foreign = 0;

        if (!d)
                return err_errno(err, "cannot read %s", vms_dir);
        while ((e = readdir(d)) != NULL) {
                if (is_ours(e->d_name))
                        n += reclaim_dir(&r, e->d_name);
                else
                        foreign += e->d_name[0] != '.' && strcmp(e->d_name, "lost+found") != 0;
        }
        prom_gauge_set(metrics->remains[FC_REMAINS_FOREIGN], foreign);
        if (foreign)
                log_warn("%s contains %d entries that are not Vulcan's: inspect and remove them",
                         vms_dir, foreign);
        return n;
}

unsigned fc_count_orphans(const char *vms_dir)
{
        _cleanup_closedir_ DIR *d = opendir(vms_dir);
        struct dirent *e;
        unsigned n = 0;

        while (d && (e = readdir(d)) != NULL) {
                _cleanup_close_ int fd = -1;

                if (e->d_name[0] == '.')
                        continue;
                fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                n += fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
        }
        return n;
}

void fc_reclaim_network(struct net *net, struct fc_metrics *metrics)
{
        struct net_swept swept = {0};
        struct err err = ERR_INIT;
        int r;

        if (!net_may_have_remains(net))
                return;
        r = net_sweep(net, &swept, &err);
        if (r < 0 && r != -EPERM) /* without the privilege we cannot have made anything */
                log_warn("%s", err.msg);
        for (int i = 0; i < swept.taps; i++)
                count_leak(metrics, FC_LEAK_TAP);
        if (swept.bridge)
                count_leak(metrics, FC_LEAK_BRIDGE);
        if (swept.rules)
                count_leak(metrics, FC_LEAK_RULES);
}
