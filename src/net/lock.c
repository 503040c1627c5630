/* SPDX-License-Identifier: Apache-2.0 */
#include "net/lock.h"

#include "base/cleanup.h"
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int lock_open(const char *path, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r;

        if (fd < 0)
                return err_errno(err, "open %s", path);
        r = trust_check(fd, path, err);
        return r < 0 ? r : steal_fd(&fd);
}

static struct flock range(short type, uint32_t first, uint32_t last)
{
        return (struct flock){.l_type = type, .l_start = first, .l_len = (off_t)last - first + 1};
}

int lock_guard(int fd, struct err *err)
{
        struct flock lock = range(F_WRLCK, LOCK_GUARD, LOCK_GUARD);

        while (fcntl(fd, F_OFD_SETLKW, &lock) < 0) {
                if (errno != EINTR)
                        return err_errno(err, "lock");
        }
        return 0;
}

int lock_enter(int *fd, const char *path, struct err *err)
{
        for (;;) {
                struct stat st;
                int r;

                if (*fd < 0)
                        *fd = lock_open(path, err);
                if (*fd < 0)
                        return *fd;
                r = lock_guard(*fd, err);
                if (r < 0)
                        return r;
                /* Only a holder of the guard unlinks the file, so a file that has a name now
                 * keeps it until we release the guard. */
                if (fstat(*fd, &st) < 0 || st.st_nlink > 0)
                        return 0;
                close_fd(fd); /* it was unlinked while we waited */
        }
}

int lock_try(int fd, uint32_t byte)
{
        struct flock lock = range(F_WRLCK, byte, byte);

        return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int lock_share(int fd, uint32_t byte)
{
        struct flock lock = range(F_RDLCK, byte, byte);

        return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

void lock_drop(int fd, uint32_t byte)
{
        struct flock lock = range(F_UNLCK, byte, byte);

        fcntl(fd, F_OFD_SETLK, &lock);
}

bool lock_others(int fd, uint32_t first, uint32_t last)
{
        struct flock lock = range(F_WRLCK, first, last);

        return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}
