/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/unpack.h"

#include "base/beneath.h"
#include "base/cleanup.h"
#include "guest/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        /* Headers, padding and what follows the end of a tar, on top of twice the content. */
        SOURCE_SLACK = 1 << 20,
};

struct unpacker {
        struct archive *archive;
        struct source source;
        int dir;
        struct unpack_limits left;
};

DEFINE_CLEANUP(struct archive *, archive_read_free);
#define _cleanup_archive_ _cleanup_(archive_read_free_p)

/* libarchive has no words for some of its errors. */
static const char *reason(struct archive *a)
{
        const char *words = archive_error_string(a);

        return words && *words ? words : "invalid or incomplete data";
}

static int leaves(const char *name, struct err *err)
{
        return err_set(err, EPERM, "archive entry \"%s\" leaves the working directory", name);
}

static int clean(const char *name, char ret[BENEATH_PATH_MAX], struct err *err)
{
        int r = beneath_clean(name, ret);

        if (r == -EPERM)
                return leaves(name, err);
        return r < 0 ? err_set(err, -r, "archive entry \"%.64s...\": name too long", name) : 0;
}

/* Opens the directory of an entry; the message says which entry was the trouble. */
static int parent_of(struct unpacker *u, const char *path, const char **ret_base, struct err *err)
{
        struct err why = ERR_INIT;
        int fd = beneath_parent(u->dir, path, 0, ret_base, &why);

        if (fd == -ELOOP || fd == -ENOTDIR)
                return err_set(
                        err, -fd,
                        "archive entry \"%s\" lies behind a link or file, not in a directory",
                        path);
        return fd < 0 ? err_set(err, -fd, "archive entry \"%s\": %s", path, why.msg) : fd;
}

static int system_error(const char *path, struct err *err)
{
        return err_errno(err, "archive entry \"%s\"", path);
}

static int write_all_at(int fd, const char *p, size_t n, int64_t at)
{
        while (n > 0) {
                ssize_t w = pwrite(fd, p, n, at);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return -1;
                p += w;
                n -= (size_t)w;
                at += w;
        }
        return 0;
}

static int too_large(const char *path, struct err *err)
{
        return err_set(err, EFBIG, "archive entry \"%s\": the archive unpacks to too many bytes",
                       path);
}

/*
 * Holes of sparse files are not written, but counted: a later read or copy of the file would pay
 * for them.
 */
static int write_content(struct unpacker *u, int fd, const char *path, struct err *err)
{
        int64_t end = 0;

        for (;;) {
                const void *block;
                int64_t offset;
                size_t n;
                int r = archive_read_data_block(u->archive, &block, &n, &offset);

                if (r == ARCHIVE_EOF)
                        break;
                /* A checksum that does not match is no more than a warning to libarchive. */
                if (r != ARCHIVE_OK)
                        return err_set(err, EPROTO, "archive entry \"%s\": %s", path,
                                       reason(u->archive));
                if (offset < end || (uint64_t)(offset - end) > u->left.bytes ||
                    n > u->left.bytes - (uint64_t)(offset - end))
                        return too_large(path, err);
                u->left.bytes -= (uint64_t)(offset - end) + n;
                end = offset + (int64_t)n;
                if (write_all_at(fd, block, n, offset) < 0)
                        return system_error(path, err);
        }
        return ftruncate(fd, end) < 0 ? system_error(path, err) : 0;
}

static int unpack_file(struct unpacker *u, struct archive_entry *e, const char *path,
                       struct err *err)
{
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = archive_entry_mtime(e)}};
        struct err why = ERR_INIT;
        _cleanup_close_ int fd = -1;
        const char *base;
        int parent, r;

        if (archive_entry_size_is_set(e) && (uint64_t)archive_entry_size(e) > u->left.bytes)
                return too_large(path, err);
        parent = parent_of(u, path, &base, err);
        if (parent < 0)
                return parent;
        fd = beneath_create(parent, base, archive_entry_perm(e) & 0777, 0, &why);
        close(parent);
        if (fd < 0)
                return err_set(err, -fd, "archive entry \"%s\": %s", path, why.msg);
        r = write_content(u, fd, path, err);
        if (r == 0 && archive_entry_mtime_is_set(e))
                futimens(fd, times);
        return r;
}

/* Directories stay writable for us, or what lies in them could not be unpacked. */
static int unpack_directory(struct unpacker *u, struct archive_entry *e, const char *path,
                            struct err *err)
{
        mode_t mode = (archive_entry_perm(e) & 0777) | 0700;
        _cleanup_close_ int parent = -1;
        const char *base;
        struct stat st;

        parent = parent_of(u, path, &base, err);
        if (parent < 0)
                return parent;
        if (mkdirat(parent, base, mode) == 0)
                return 0;
        if (errno == EEXIST && fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
                return fchmodat(parent, base, mode, 0) < 0 ? system_error(path, err) : 0;
        return system_error(path, err);
}

/*
 * True if a link at `path` (cleaned) stays below the directory: relative, ".." only in front and
 * not more often than `path` is deep. Names behind that may be links themselves, which stay inside
 * by the same rule.
 */
static bool stays_inside(const char *path, const char *target)
{
        bool in_front = true;
        int depth = 0;

        if (*target == '/')
                return false;
        for (; *path; path++)
                depth += *path == '/';
        while (*target) {
                size_t n = strcspn(target, "/");

                if (n == 2 && target[0] == '.' && target[1] == '.') {
                        if (!in_front || --depth < 0)
                                return false;
                } else if (n > 0 && !(n == 1 && target[0] == '.')) {
                        in_front = false;
                }
                target += n;
                target += *target == '/';
        }
        return true;
}

static int unpack_symlink(struct unpacker *u, struct archive_entry *e, const char *path,
                          struct err *err)
{
        const char *target = archive_entry_symlink(e);
        _cleanup_close_ int parent = -1;
        const char *base;

        if (!target || !*target)
                return err_set(err, EPROTO, "archive entry \"%s\" is a link to nothing", path);
        if (!stays_inside(path, target))
                return err_set(err, EPERM,
                               "archive entry \"%s\" is a link that leaves the working directory",
                               path);
        parent = parent_of(u, path, &base, err);
        if (parent < 0)
                return parent;
        if ((unlinkat(parent, base, 0) < 0 && errno != ENOENT) ||
            symlinkat(target, parent, base) < 0)
                return system_error(path, err);
        return 0;
}

static int unpack_hardlink(struct unpacker *u, struct archive_entry *e, const char *path,
                           struct err *err)
{
        const char *name = archive_entry_hardlink(e);
        char target[BENEATH_PATH_MAX];
        _cleanup_close_ int from = -1;
        _cleanup_close_ int to = -1;
        const char *from_base, *to_base;
        struct stat st;
        int r = clean(name, target, err);

        if (r < 0)
                return r;
        if (!*target)
                return leaves(name, err);
        from = parent_of(u, target, &from_base, err);
        if (from < 0)
                return from;
        to = parent_of(u, path, &to_base, err);
        if (to < 0)
                return to;
        if (strcmp(target, path) == 0)
                return 0;
        /* A symbolic link that stays inside could leave from another depth. */
        if (fstatat(from, from_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return system_error(path, err);
        if (!S_ISREG(st.st_mode))
                return err_set(err, EPERM, "archive entry \"%s\" is a hard link to no regular file",
                               path);
        if ((unlinkat(to, to_base, 0) < 0 && errno != ENOENT) ||
            linkat(from, from_base, to, to_base, 0) < 0)
                return system_error(path, err);
        return 0;
}

static int refuse_type(mode_t type, const char *path, struct err *err)
{
        const char *what = type == AE_IFCHR || type == AE_IFBLK ? "a device node"
                           : type == AE_IFIFO                   ? "a FIFO"
                           : type == AE_IFSOCK                  ? "a socket"
                                                                : "of an unknown type";

        return err_set(err, EPERM, "archive entry \"%s\" is %s", path, what);
}

static int unpack_entry(struct unpacker *u, struct archive_entry *e, struct err *err)
{
        const char *name = archive_entry_pathname(e);
        char path[BENEATH_PATH_MAX];
        int r;

        if (!name)
                name = archive_entry_pathname_utf8(e);
        if (!name || !*name)
                return err_set(err, EPROTO, "archive entry without a name");
        if (u->left.entries-- == 0)
                return err_set(err, E2BIG, "archive entry \"%s\": the archive has too many entries",
                               name);
        r = clean(name, path, err);
        if (r < 0)
                return r;
        if (archive_entry_hardlink(e))
                return *path ? unpack_hardlink(u, e, path, err) : leaves(name, err);
        switch (archive_entry_filetype(e)) {
        case AE_IFDIR:
                return *path ? unpack_directory(u, e, path, err) : 0;
        case AE_IFREG:
                return *path ? unpack_file(u, e, path, err) : leaves(name, err);
        case AE_IFLNK:
                return *path ? unpack_symlink(u, e, path, err) : leaves(name, err);
        default:
                return refuse_type(archive_entry_filetype(e), path, err);
        }
}

/* What libarchive reads. */
static ssize_t read_source(struct archive *a, void *unpacker, const void **ret)
{
        struct unpacker *u = unpacker;
        ssize_t n = source_read(&u->source, ret, NULL);

        if (n < 0)
                archive_set_error(a, EPROTO, "%s", u->source.failed.msg);
        return n < 0 ? ARCHIVE_FATAL : n;
}

static int open_archive(struct unpacker *u, struct err *err)
{
        struct archive *a = u->archive;

        if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK)
                return err_set(err, ENOMEM, "unpacking the archive: out of memory");
        if (archive_read_open(a, u, NULL, read_source, NULL) != ARCHIVE_OK)
                return err_set(err, EPROTO, "the archive is damaged or not a tar: %s", reason(a));
        return 0;
}

static int unpack_entries(struct unpacker *u, struct err *err)
{
        int r = 0;

        while (r == 0) {
                struct archive_entry *e;
                int status = archive_read_next_header(u->archive, &e);

                if (status == ARCHIVE_EOF)
                        break;
                /* A warning is about a name in no known encoding, which is kept as it is. */
                if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
                        return err_set(err, EPROTO, "the archive is damaged or not a tar: %s",
                                       reason(u->archive));
                r = unpack_entry(u, e, err);
        }
        return r;
}

/*
 * Reads what follows the end of the tar, too: it decides whether the gzip data are sound. If they are
 * not, that is the cause of whatever was found wrong with the tar within, and is reported instead,
 * except where reading on would cost what the limits are there to save.
 */
static int verify_source(struct unpacker *u, int r, struct err *err)
{
        struct err cause = ERR_INIT;

        if (r == 0)
                return source_drain(&u->source, err);
        if (u->source.kind == SNIFF_GZIP && r != -EFBIG && r != -E2BIG && r != -ENOMEM &&
            r != -ENOSPC && source_drain(&u->source, &cause) < 0)
                return err_set(err, cause.code, "%s", cause.msg);
        return r;
}

int unpack(int fd, int dir, const struct unpack_limits *limits, struct err *err)
{
        _cleanup_archive_ struct archive *a = archive_read_new();
        struct unpacker u = {.archive = a, .dir = dir, .left = *limits};
        int r = source_open(&u.source, fd, 2 * limits->bytes + SOURCE_SLACK, err);

        if (r == 0) {
                r = open_archive(&u, err);
                if (r == 0)
                        r = unpack_entries(&u, err);
                r = verify_source(&u, r, err);
        }
        source_release(&u.source);
        return r;
}
