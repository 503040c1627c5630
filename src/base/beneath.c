/* SPDX-License-Identifier: Apache-2.0 */
#include "base/beneath.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int beneath_clean(const char *name, char ret[BENEATH_PATH_MAX])
{
        size_t len = 0;

        if (*name == '/')
                return -EPERM;
        while (*name) {
                size_t n = strcspn(name, "/");

                if (n == 2 && name[0] == '.' && name[1] == '.')
                        return -EPERM;
                if (n > 0 && !(n == 1 && name[0] == '.')) {
                        if (len + 1 + n >= BENEATH_PATH_MAX)
                                return -ENAMETOOLONG;
                        if (len > 0)
                                ret[len++] = '/';
                        memcpy(ret + len, name, n);
                        len += n;
                }
                name += n;
                name += *name == '/';
        }
        ret[len] = '\0';
        return 0;
}

static int open_directory(int dir, const char *path)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };

        return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* Opens one component, which is created if it is missing. */
static int enter(int dir, const char *name, uid_t uid)
{
        int fd = open_directory(dir, name);

        if (fd >= 0 || errno != ENOENT)
                return fd;
        if (mkdirat(dir, name, 0755) < 0)
                return -1;
        if (uid && fchownat(dir, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        return open_directory(dir, name);
}

static int make_parents(int dir, char *parents, uid_t uid, struct err *err)
{
        _cleanup_close_ int at = open_directory(dir, ".");
        char *name;

        while (at >= 0 && (name = strsep(&parents, "/")) != NULL) {
                int next = enter(at, name, uid);

                if (next < 0)
                        return err_errno(err, "directory \"%s\"", name);
                close(at);
                at = next;
        }
        return at < 0 ? err_errno(err, "the directory itself") : steal_fd(&at);
}

int beneath_parent(int dir, const char *path, uid_t uid, const char **ret_base, struct err *err)
{
        const char *slash = strrchr(path, '/');
        char parents[BENEATH_PATH_MAX];
        int fd;

        *ret_base = slash ? slash + 1 : path;
        if (!slash) {
                fd = open_directory(dir, ".");
                return fd < 0 ? err_errno(err, "the directory itself") : fd;
        }
        memcpy(parents, path, (size_t)(slash - path));
        parents[slash - path] = '\0';
        fd = open_directory(dir, parents);
        if (fd >= 0)
                return fd;
        if (errno != ENOENT)
                return err_errno(err, "directory \"%s\"", parents);
        return make_parents(dir, parents, uid, err);
}

int beneath_create(int dir, const char *path, mode_t mode, uid_t uid, struct err *err)
{
        _cleanup_close_ int parent = -1;
        _cleanup_close_ int fd = -1;
        const char *base;

        parent = beneath_parent(dir, path, uid, &base, err);
        if (parent < 0)
                return parent;
        if (unlinkat(parent, base, 0) < 0 && errno != ENOENT)
                return err_errno(err, "replacing \"%s\"", path);
        fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0 || (uid && fchown(fd, uid, uid) < 0))
                return err_errno(err, "creating \"%s\"", path);
        return steal_fd(&fd);
}
