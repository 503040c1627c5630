/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int fs_read_fd(int fd, const char *path, struct buf *ret, struct err *err)
{
        char chunk[16384];

        for (;;) {
                ssize_t n = read(fd, chunk, sizeof(chunk));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "cannot read %s", path);
                if (n == 0)
                        break;
                r = buf_add(ret, chunk, (size_t)n);
                if (r == -ENOBUFS)
                        return err_set(err, EFBIG, "%s is larger than %zu bytes", path, ret->max);
                if (r < 0)
                        return err_set(err, -r, "cannot read %s: out of memory", path);
        }
        /* The content of an empty file is an empty string, not NULL. */
        return buf_reserve(ret, 0) < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

int fs_read(const char *path, struct buf *ret, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        return fd < 0 ? err_errno(err, "cannot read %s", path) : fs_read_fd(fd, path, ret, err);
}

int fs_write_all(int fd, const void *bytes, size_t n)
{
        const char *p = bytes;

        while (n > 0) {
                ssize_t w = write(fd, p, n);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return -errno;
                p += w;
                n -= (size_t)w;
        }
        return 0;
}

int fs_write(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err)
{
        char tmp[PATH_MAX];
        _cleanup_close_ int fd = -1;
        int r;

        if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
                return err_set(err, ENAMETOOLONG, "path too long: %s", path);
        fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return err_errno(err, "cannot write %s", tmp);
        if (fs_write_all(fd, bytes, n) < 0 || rename(tmp, path) < 0) {
                r = err_errno(err, "cannot write %s", path);
                unlink(tmp);
                return r;
        }
        return 0;
}

int fs_create(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

        if (fd < 0 || fs_write_all(fd, bytes, n) < 0)
                return err_errno(err, "cannot write %s", path);
        return 0;
}

int fs_mkdir_p(const char *path, unsigned mode, struct err *err)
{
        char part[PATH_MAX];
        size_t n = strlen(path);

        if (n == 0 || n >= sizeof(part))
                return err_set(err, ENAMETOOLONG, "bad directory name: \"%s\"", path);
        memcpy(part, path, n + 1);
        for (char *p = part + 1;; p++) {
                struct stat st;
                char was = *p;

                if (was != '/' && was != '\0')
                        continue;
                *p = '\0';
                if (mkdir(part, mode) < 0 && errno != EEXIST)
                        return err_errno(err, "cannot create directory %s", part);
                if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
                        return err_set(err, ENOTDIR, "%s is not a directory", part);
                if (was == '\0')
                        return 0;
                *p = was;
        }
}

int fs_join(char *ret, size_t size, const char *dir, const char *name, struct err *err)
{
        if (snprintf(ret, size, "%s/%s", dir, name) >= (int)size)
                return err_set(err, ENAMETOOLONG, "path too long: %s/%s", dir, name);
        return 0;
}
