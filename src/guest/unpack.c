/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/unpack.h"

#include "base/beneath.h"
#include "base/cleanup.h"
#include "guest/source.h"
#include "guest/zip_check.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        /* Headers, padding and what follows the end of a tar, on top of twice the content. */
        SOURCE_SLACK = 1 << 20,
};

/* Permissions that a directory gets once everything is unpacked. */
struct later {
        char *path;
        mode_t mode;
        size_t order; /* the last one for a path counts */
};

struct unpacker {
        struct archive *archive;
        struct source source;
        int dir;
        struct unpack_limits left;
        struct later *later;
        size_t n_later, room_later;
        int zip; /* file of all of a zip; -1: none */
};

DEFINE_CLEANUP(struct archive *, archive_read_free);
#define _cleanup_archive_ _cleanup_(archive_read_free_p)

/* libarchive has no message for some of its errors. */
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

/* A zip that was not made on Unix says nothing of permissions. */
static mode_t permissions(const struct unpacker *u, struct archive_entry *e, mode_t otherwise)
{
        mode_t mode = archive_entry_perm(e) & 0777;

        return mode == 0 && u->source.kind == SNIFF_ZIP ? otherwise : mode;
}

/* Removes what has the name of a new entry: a link itself, a directory if it is empty. */
static int make_room(int parent, const char *base, const char *path, struct err *err)
{
        if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno == EISDIR && unlinkat(parent, base, AT_REMOVEDIR) == 0)
                return 0;
        if (errno == ENOTEMPTY || errno == EEXIST)
                return err_set(err, EEXIST,
                               "archive entry \"%s\" has the name of a directory with content",
                               path);
        return system_error(path, err);
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
 * for them. No block tells of a hole at the end of a file, only the entry's size.
 */
static int write_content(struct unpacker *u, struct archive_entry *e, int fd, const char *path,
                         struct err *err)
{
        int64_t size = archive_entry_size_is_set(e) ? archive_entry_size(e) : 0;
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
        if (size > end) {
                if ((uint64_t)(size - end) > u->left.bytes)
                        return too_large(path, err);
                u->left.bytes -= (uint64_t)(size - end);
                end = size;
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
        r = make_room(parent, base, path, err);
        if (r == 0)
                fd = beneath_create(parent, base, permissions(u, e, 0644), 0, &why);
        close(parent);
        if (r < 0)
                return r;
        if (fd < 0)
                return err_set(err, -fd, "archive entry \"%s\": %s", path, why.msg);
        r = write_content(u, e, fd, path, err);
        if (r == 0 && archive_entry_mtime_is_set(e))
                futimens(fd, times);
        return r;
}

static int set_later(struct unpacker *u, const char *path, mode_t mode, struct err *err)
{
        struct later *l;

        if (u->n_later == u->room_later) {
                size_t room = u->room_later ? 2 * u->room_later : 64;

                l = reallocarray(u->later, room, sizeof(*l));
                if (!l)
                        return err_set(err, ENOMEM, "unpacking the archive: out of memory");
                u->later = l;
                u->room_later = room;
        }
        l = &u->later[u->n_later];
        *l = (struct later){.path = strdup(path), .mode = mode, .order = u->n_later};
        if (!l->path)
                return err_set(err, ENOMEM, "unpacking the archive: out of memory");
        u->n_later++;
        return 0;
}

/* Until the end a directory can be written by us, or what lies in it could not be unpacked. */
static int unpack_directory(struct unpacker *u, struct archive_entry *e, const char *path,
                            struct err *err)
{
        mode_t mode = permissions(u, e, 0755) & 0755;
        _cleanup_close_ int parent = -1;
        const char *base;
        struct stat st;

        parent = parent_of(u, path, &base, err);
        if (parent < 0)
                return parent;
        if (mkdirat(parent, base, mode | 0700) < 0) {
                if (errno != EEXIST || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return system_error(path, err);
                if (S_ISDIR(st.st_mode)) {
                        if (fchmodat(parent, base, mode | 0700, 0) < 0)
                                return system_error(path, err);
                } else if (unlinkat(parent, base, 0) < 0 ||
                           mkdirat(parent, base, mode | 0700) < 0) {
                        return system_error(path, err);
                }
        }
        return mode == (mode | 0700) ? 0 : set_later(u, path, mode, err);
}

/* What a directory holds comes before it: afterwards it may be out of reach. */
static int compare_later(const void *a, const void *b)
{
        const struct later *x = a, *y = b;
        int order = strcmp(y->path, x->path);

        return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int set_permissions(struct unpacker *u, struct err *err)
{
        if (u->n_later > 1)
                qsort(u->later, u->n_later, sizeof(*u->later), compare_later);
        for (size_t i = 0; i < u->n_later; i++) {
                const struct later *l = &u->later[i];
                _cleanup_close_ int parent = -1;
                const char *base;
                struct stat st;

                parent = beneath_parent(u->dir, l->path, 0, &base, NULL);
                /* A later entry may have taken the place of the directory. */
                if (parent < 0 || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISDIR(st.st_mode))
                        continue;
                if (fchmodat(parent, base, l->mode, 0) < 0)
                        return system_error(l->path, err);
        }
        return 0;
}

static int unpack_symlink(struct unpacker *u, struct archive_entry *e, const char *path,
                          struct err *err)
{
        const char *target = archive_entry_symlink(e);
        _cleanup_close_ int parent = -1;
        const char *base;
        int r;

        if (!target || !*target)
                return err_set(err, EPROTO, "archive entry \"%s\" is a link to nothing", path);
        parent = parent_of(u, path, &base, err);
        if (parent < 0)
                return parent;
        r = make_room(parent, base, path, err);
        if (r == 0 && symlinkat(target, parent, base) < 0)
                return system_error(path, err);
        return r;
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
        if (fstatat(from, from_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return system_error(path, err);
        if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
                return err_set(err, EPERM, "archive entry \"%s\" is a hard link to no regular file",
                               path);
        r = make_room(to, to_base, path, err);
        /* Without AT_SYMLINK_FOLLOW the new name is one more of a link, not of its target. */
        if (r == 0 && linkat(from, from_base, to, to_base, 0) < 0)
                return system_error(path, err);
        return r;
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
        if (archive_entry_is_encrypted(e))
                return err_set(err, EPROTO,
                               "archive entry \"%s\" is encrypted: pack it without a password",
                               path);
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

static int damaged(struct unpacker *u, struct err *err)
{
        return err_set(err, EPROTO, "the archive is damaged or not a %s: %s",
                       u->source.kind == SNIFF_ZIP ? "zip" : "tar", reason(u->archive));
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

/*
 * A zip has its directory at its end, and what precedes an entry may be incomplete (sizes,
 * permissions, whether it is a link). So all of it is read first.
 */
static int spool(struct unpacker *u, struct err *err)
{
        _cleanup_close_ int fd = memfd_create("zip", MFD_CLOEXEC);
        const void *bytes;
        off_t at = 0;
        ssize_t n;

        if (fd < 0)
                return err_errno(err, "unpacking the archive");
        while ((n = source_read(&u->source, &bytes, err)) > 0) {
                if (at + n > UNPACK_ZIP_MAX)
                        return err_set(err, EFBIG, "the archive is larger than %d bytes",
                                       UNPACK_ZIP_MAX);
                if (write_all_at(fd, bytes, (size_t)n, at) < 0)
                        return err_errno(err, "unpacking the archive");
                at += n;
        }
        return n < 0 ? (int)n : steal_fd(&fd);
}

static int check_zip(int fd, struct err *err)
{
        struct stat st;
        void *bytes;
        int r;

        if (fstat(fd, &st) < 0)
                return err_errno(err, "unpacking the archive");
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
                return err_errno(err, "unpacking the archive");
        r = zip_check(bytes, (size_t)st.st_size, err);
        munmap(bytes, (size_t)st.st_size);
        return r;
}

static int open_archive(struct unpacker *u, struct err *err)
{
        struct archive *a = u->archive;
        int r;

        if (!a)
                return err_set(err, ENOMEM, "unpacking the archive: out of memory");
        if (u->source.kind == SNIFF_ZIP) {
                u->zip = spool(u, err);
                r = u->zip < 0 ? u->zip : check_zip(u->zip, err);
                if (r < 0)
                        return r;
                r = archive_read_support_format_zip_seekable(a);
                if (r == ARCHIVE_OK)
                        r = archive_read_open_fd(a, u->zip, SOURCE_BLOCK);
        } else {
                r = archive_read_support_format_tar(a);
                if (r == ARCHIVE_OK)
                        r = archive_read_open(a, u, NULL, read_source, NULL);
        }
        return r == ARCHIVE_OK ? 0 : damaged(u, err);
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
                        return damaged(u, err);
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

static void unpacker_release(struct unpacker *u)
{
        for (size_t i = 0; i < u->n_later; i++)
                free(u->later[i].path);
        free(u->later);
        close_fd(&u->zip);
        source_release(&u->source);
}

int unpack(int fd, int dir, const struct unpack_limits *limits, struct err *err)
{
        _cleanup_archive_ struct archive *a = archive_read_new();
        struct unpacker u = {.archive = a, .dir = dir, .left = *limits, .zip = -1};
        int r = source_open(&u.source, fd, 2 * limits->bytes + SOURCE_SLACK, err);

        if (r == 0) {
                r = open_archive(&u, err);
                if (r == 0)
                        r = unpack_entries(&u, err);
                r = verify_source(&u, r, err);
        }
        if (r == 0)
                r = set_permissions(&u, err);
        unpacker_release(&u);
        return r;
}
