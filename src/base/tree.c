/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a directory tree that an attacker has made.
 *
 * Its paths may be longer than PATH_MAX and its depth unlimited, so this code neither walks by path
 * nor recurses. It moves directories that are not empty up into the top directory, under new names,
 * until none is deeper than one level. This needs three descriptors and no memory for any tree, and
 * an interrupted removal keeps its progress.
 */
#include "base/fs.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_ATTEMPTS = 100 }; /* at finding an unused name */

struct sweep {
        int top;
        dev_t dev;
        size_t left;    /* entries that may still be looked at */
        uint64_t fresh; /* number of the next new name */
        bool progress;  /* of this pass */
        int failed;     /* first errno of this pass; 0: none */
        char what[NAME_MAX + 1];
};

static void note_failure(struct sweep *s, const char *name)
{
        if (s->failed)
                return;
        s->failed = errno;
        snprintf(s->what, sizeof(s->what), "%s", name);
}

/* Gives the owner of a directory the permissions that removing and moving it need. */
static void unlock_dir(int at, const char *name)
{
        _cleanup_close_ int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char path[64];

        if (fd < 0)
                return;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fchmod() fails with O_PATH */
        (void)!chmod(path, 0700);
}

/* Opens a directory for reading. NULL with errno set. */
static DIR *open_entries(int at, const char *name)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        _cleanup_close_ int fd = openat(at, name, flags);
        DIR *d;

        if (fd < 0 && errno == EACCES) {
                unlock_dir(at, name);
                fd = openat(at, name, flags);
        }
        d = fd < 0 ? NULL : fdopendir(fd);
        if (d) {
                steal_fd(&fd);
                fchmod(dirfd(d), 0700);
        }
        return d;
}

/* Removes a file or an empty directory. Returns an errno; ENOTEMPTY for a directory with
 * content. */
static int remove_entry(int at, const char *name)
{
        int was;

        if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
                return 0;
        was = errno;
        if (was != EISDIR && was != EPERM)
                return was;
        if (unlinkat(at, name, AT_REMOVEDIR) == 0)
                return 0;
        if (errno == ENOTDIR)
                return was;
        return errno == EEXIST ? ENOTEMPTY : errno;
}

/* Moves a directory into the top. Returns an errno. */
static int move_up(struct sweep *s, int at, const char *name)
{
        char fresh[64];
        bool unlocked = false;

        for (int i = 0; i < NAME_ATTEMPTS; i++) {
                snprintf(fresh, sizeof(fresh), ".removed-%" PRIx64, s->fresh++);
                if (renameat(at, name, s->top, fresh) == 0)
                        return 0;
                if (errno == EACCES && !unlocked) {
                        unlock_dir(at, name);
                        unlocked = true;
                } else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) {
                        break;
                }
        }
        return errno;
}

static bool next_entry(struct sweep *s, DIR *d, const char **ret)
{
        struct dirent *e;

        while (s->left && (e = readdir(d)) != NULL) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                s->left--;
                *ret = e->d_name;
                return true;
        }
        return false;
}

/* Removes a directory of the top: deletes its files and moves its directories up. Returns an
 * errno. */
static int flatten(struct sweep *s, const char *name)
{
        _cleanup_closedir_ DIR *d = open_entries(s->top, name);
        const char *child;
        struct stat st;

        if (!d || fstat(dirfd(d), &st) < 0)
                return errno;
        if (st.st_dev != s->dev)
                return errno = EXDEV;
        while (next_entry(s, d, &child)) {
                int r = remove_entry(dirfd(d), child);

                if (r == ENOTEMPTY)
                        r = move_up(s, dirfd(d), child);
                if (r == 0)
                        s->progress = true;
                else
                        note_failure(s, child);
        }
        return remove_entry(s->top, name);
}

/* One pass over the top. False if the top is empty. */
static bool sweep_once(struct sweep *s, DIR *d)
{
        const char *name;
        bool any = false;

        s->progress = false;
        s->failed = 0;
        rewinddir(d);
        while (next_entry(s, d, &name)) {
                int r = remove_entry(s->top, name);

                any = true;
                if (r == ENOTEMPTY)
                        r = flatten(s, name);
                errno = r;
                if (r == 0)
                        s->progress = true;
                else
                        note_failure(s, name);
        }
        return any || !s->left;
}

int fs_empty_dir(int dir_fd, size_t max, struct err *err)
{
        struct sweep s = {.left = max ? max : SIZE_MAX, .fresh = clock_ns()};
        _cleanup_closedir_ DIR *d = NULL;
        struct stat st;

        fchmod(dir_fd, 0700);
        d = open_entries(dir_fd, ".");
        if (!d || fstat(dir_fd, &st) < 0)
                return err_errno(err, "cannot read a directory to remove it");
        s.top = dirfd(d);
        s.dev = st.st_dev;
        while (sweep_once(&s, d)) {
                if (!s.left)
                        return err_set(err, EAGAIN, "more than %zu files to remove", max);
                if (!s.progress) {
                        errno = s.failed;
                        return err_errno(err, "cannot remove \"%s\"", s.what);
                }
        }
        return 0;
}

int fs_remove_tree(const char *path, struct err *err)
{
        _cleanup_close_ int fd = -1;
        int r;

        if (unlink(path) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return err_errno(err, "cannot remove %s", path);
        if (rmdir(path) == 0)
                return 0;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == EACCES) {
                unlock_dir(AT_FDCWD, path);
                fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0)
                return err_errno(err, "cannot remove %s", path);
        r = fs_empty_dir(fd, 0, err);
        if (r < 0)
                return err_wrap(err, "%s", path);
        return rmdir(path) < 0 ? err_errno(err, "cannot remove %s", path) : 0;
}
