/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trust.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { OTHERS_WRITE = S_IWGRP | S_IWOTH };

static bool is_trusted(uid_t uid)
{
        return uid == 0 || uid == geteuid();
}

static int refuse_owner(const char *path, uid_t uid, struct err *err)
{
        return err_set(err, EPERM,
                       "%.200s belongs to user %u, which is neither root nor the user that vulcan "
                       "runs as (%u); chown it, or choose another path",
                       path, (unsigned)uid, (unsigned)geteuid());
}

int trust_check(int fd, const char *path, struct err *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_errno(err, "stat %s", path);
        if (!is_trusted(st.st_uid))
                return refuse_owner(path, st.st_uid, err);
        if (st.st_mode & OTHERS_WRITE)
                return err_set(err, EPERM,
                               "%.200s can be written by %s (mode %04o); chmod go-w it, or choose "
                               "another path",
                               path, st.st_mode & S_IWOTH ? "others" : "its group",
                               (unsigned)st.st_mode & 07777);
        return 0;
}

/* Checks that no directory above lets everybody replace this one. */
static int check_above(int fd, const char *path, struct err *err)
{
        char self[64], real[PATH_MAX];
        struct stat st;
        ssize_t n;

        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        n = readlink(self, real, sizeof(real) - 1);
        if (n <= 0)
                return n < 0 ? err_errno(err, "find the place of %s", path) : 0;
        real[n] = '\0';
        for (char *slash; (slash = strrchr(real, '/')) != NULL && real[1];) {
                slash[slash == real] = '\0'; /* keep the slash of "/" itself */
                if (stat(real, &st) == 0 && st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX))
                        return err_set(err, EPERM,
                                       "%.200s: everybody may rename it, since others can write to "
                                       "%.200s (mode %04o); chmod o-w that, or choose another path",
                                       path, real, (unsigned)st.st_mode & 07777);
        }
        return 0;
}

int trust_open_dir(const char *path, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat link;
        int r;

        if (fd < 0)
                return err_errno(err, "open %s", path);
        if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode) && !is_trusted(link.st_uid))
                return refuse_owner(path, link.st_uid, err);
        if ((r = trust_check(fd, path, err)) < 0 || (r = check_above(fd, path, err)) < 0)
                return r;
        return steal_fd(&fd);
}

int trust_make_dir(const char *path, struct err *err)
{
        int r = fs_mkdir_p(path, 0700, err);

        if (r < 0)
                return r;
        r = trust_open_dir(path, err);
        if (r < 0)
                return r;
        close(r);
        return 0;
}

int trust_read(const char *path, struct buf *ret, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        int r;

        if (fd < 0)
                return err_errno(err, "cannot read %s", path);
        r = trust_check(fd, path, err);
        return r < 0 ? r : fs_read_fd(fd, path, ret, err);
}
