/* SPDX-License-Identifier: Apache-2.0 */
/* What a process of Vulcan that was killed left behind, removed at the next start. */
#include "backend/firecracker/vm.h"

#include "base/cleanup.h"
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

enum { DEATH_WAIT_MS = 2000 };

static void count_leak(struct fc_metrics *m, enum fc_leak kind)
{
        prom_counter_inc(m->leaks[kind]);
}

/* Kills the VMM that the directory names, if that very process still runs, and waits for its end.
 * False if it does not end. */
static bool kill_vmm(const char *dir, struct fc_metrics *m)
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
        /* The descriptor is held before the start time is compared, so the number cannot change
         * hands in between. */
        if (pidfd < 0 || !proc_is_alive(pid, start))
                return true;
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        kill(-pid, SIGKILL);
        p = (struct pollfd){.fd = pidfd, .events = POLLIN};
        if (poll(&p, 1, DEATH_WAIT_MS) != 1) {
                log_error("the VMM that %s names was killed but does not end: see /proc/%d/stack",
                          dir, pid);
                return false;
        }
        count_leak(m, FC_LEAK_PROCESS);
        return true;
}

/* True if the directory was an orphan and is gone now. */
static bool reclaim_dir(const char *vms_dir, const char *name, struct fc_metrics *m)
{
        _cleanup_close_ int fd = -1;
        struct err err = ERR_INIT;
        char dir[PATH_MAX];
        struct stat st;

        if (fs_join(dir, sizeof(dir), vms_dir, name, &err) < 0)
                return false;
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return false; /* its owner lives */
        if (fstat(fd, &st) < 0 || st.st_nlink == 0)
                return false; /* its owner has just removed it: no leak */
        if (!kill_vmm(dir, m))
                return false; /* the next start tries again */
        if (fs_remove_tree(dir, &err) < 0) {
                log_error("%s", err.msg);
                return false;
        }
        count_leak(m, FC_LEAK_DIRECTORY);
        return true;
}

/* A VM's directory, or one that was about to become it. */
static bool is_ours(const char *name)
{
        size_t n = strlen(FC_NEW_PREFIX);

        return ulid_is_valid(name) || strncmp(name, FC_NEW_PREFIX, n) == 0;
}

int fc_reclaim(const char *vms_dir, struct fc_metrics *metrics, struct err *err)
{
        _cleanup_closedir_ DIR *d = opendir(vms_dir);
        struct dirent *e;
        int n = 0;

        if (!d)
                return err_errno(err, "cannot read %s", vms_dir);
        while ((e = readdir(d)) != NULL) {
                if (is_ours(e->d_name) && reclaim_dir(vms_dir, e->d_name, metrics))
                        n++;
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
        if (r < 0 && r != -EPERM) /* without the right there is nothing of ours */
                log_warn("%s", err.msg);
        for (int i = 0; i < swept.taps; i++)
                count_leak(metrics, FC_LEAK_TAP);
        if (swept.bridge)
                count_leak(metrics, FC_LEAK_BRIDGE);
        if (swept.rules)
                count_leak(metrics, FC_LEAK_RULES);
}
