/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sysctl.h"

#include "base/cleanup.h"
#include "net/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define IP_FORWARD "net/ipv4/ip_forward"

enum { FORWARD_USERS = 1 }; /* byte of the lock file, shared by all that need forwarding */

/* Writes a setting such as "net/ipv4/ip_forward". -ENOENT if it does not exist. */
static int sysctl_write(const char *name, const char *value, struct err *err)
{
        char path[PATH_MAX];
        _cleanup_close_ int fd = -1;

        snprintf(path, sizeof(path), "/proc/sys/%s", name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "open %s", path);
        if (write(fd, value, strlen(value)) < 0)
                return err_errno(err, "write %s to %s", value, path);
        return 0;
}

int sysctl_no_ipv6(const char *interface, struct err *err)
{
        char name[128];
        int r;

        snprintf(name, sizeof(name), "net/ipv6/conf/%s/disable_ipv6", interface);
        r = sysctl_write(name, "1", err);
        return r == -ENOENT || r == -EROFS ? 0 : r;
}

static int is_forwarding(bool *ret, struct err *err)
{
        _cleanup_close_ int fd = open("/proc/sys/" IP_FORWARD, O_RDONLY | O_CLOEXEC);
        char c = '0';

        if (fd < 0 || read(fd, &c, 1) < 0)
                return err_errno(err, "read /proc/sys/" IP_FORWARD);
        *ret = c != '0';
        return 0;
}

/* The lock file contains "1" while forwarding is on because of us; otherwise it is empty. */
static bool record_read(int fd)
{
        char c = 0;

        return pread(fd, &c, 1, 0) == 1 && c == '1';
}

static int record_write(int fd, bool ours, struct err *err)
{
        if (ours ? pwrite(fd, "1", 1, 0) != 1 : ftruncate(fd, 0) < 0)
                return err_errno(err, "note that net.ipv4.ip_forward was changed");
        return 0;
}

static int forward_on(struct forward *f, struct err *err)
{
        bool on = false;
        int r = is_forwarding(&on, err);

        if (r < 0)
                return r;
        if (!on) {
                /* The record is written first. If this process dies before the second write, a
                 * later process turns forwarding off although it is off already. In the opposite
                 * order, nobody would turn it off. */
                r = record_write(f->fd, true, err);
                if (r == 0)
                        r = sysctl_write(IP_FORWARD, "1", err);
                if (r < 0) {
                        record_write(f->fd, false, NULL);
                        return err_wrap(err, "network nat needs net.ipv4.ip_forward=1");
                }
        }
        f->ours = record_read(f->fd);
        return 0;
}

int forward_take(struct forward *f, const char *path, struct err *err)
{
        int r;

        if (f->fd >= 0)
                return 0;
        r = lock_enter(&f->fd, path, err);
        if (r == 0) {
                r = lock_share(f->fd, FORWARD_USERS);
                r = r < 0 ? err_set(err, -r, "lock %s", path) : forward_on(f, err);
                lock_drop(f->fd, LOCK_GUARD);
        }
        if (r < 0)
                close_fd(&f->fd);
        return r;
}

int forward_drop(struct forward *f, const char *path, struct err *err)
{
        int r;

        r = f->fd < 0 ? lock_enter(&f->fd, path, err) : lock_guard(f->fd, err);
        if (r == 0 && !lock_others(f->fd, FORWARD_USERS, FORWARD_USERS)) {
                if (record_read(f->fd))
                        r = sysctl_write(IP_FORWARD, "0", err);
                /* The record is deleted with the file, so not before forwarding is off. */
                if (r == 0)
                        unlink(path);
        }
        close_fd(&f->fd);
        f->ours = false;
        return r;
}
