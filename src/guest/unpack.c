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
        /* Allowance for headers, padding and bytes after the end of a tar, besides twice the
         * contents. */
        SOURCE_SLACK = 1 << 20,
};

/* Permissions that a directory gets after everything is unpacked. */
struct deferred {
        char *path;
        mode_t mode;
        size_t order; /* for the same path the last one applies */
};

struct unpacker {
        struct archive *archive;
        struct source source;
        int dir;
        struct unpack_limits left;
        struct deferred *deferred;
        size_t n_deferred, deferred_room;
        int zip; /* memory file with the whole zip; -1: none */
};

DEFINE_CLEANUP(struct archive *, archive_read_free);
#define _cleanup_archive_ _cleanup_(archive_read_free_p)

/* libarchive has no message for some errors. */
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

/* Opens the directory of an entry. An error names the entry. */
static int parent_of(struct unpacker *u, const char *path, const char **ret_base, struct err *err)
{
        struct err why = ERR_INIT;
        int fd = beneath_parent(u->dir, path, 0, ret_base, &why);

        if (fd == -ELOOP || fd == -ENOTDIR)
                return err_set(err, -fd,
                               "archive entry \"%s\" is below a link or file, not a directory",
                               path);
        return fd < 0 ? err_set(err, -fd, "archive entry \"%s\": %s", path, why.msg) : fd;
}

static int system_error(const char *path, struct err *err)
{
        return err_errno(err, "archive entry \"%s\"", path);
}

/* A zip that was not made on Unix has no permissions. */
static mode_t permissions(const struct unpacker *u, struct archive_entry *e, mode_t otherwise)
{
        mode_t mode = archive_entry_perm(e) & 0777;

        return mode == 0 && u->source.kind == SNIFF_ZIP ? otherwise : mode;
}

/* Removes an existing file with the name of a new entry: a link itself, a directory if empty. */
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
 * Holes of sparse files are not written, but they count, because a later copy of the file would
 * take that space. A hole at the end of a file has no block; only the entry's size shows it.
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
                /* To libarchive a checksum that does not match is only a warning. */
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

static int defer_mode(struct unpacker *u, const char *path, mode_t mode, struct err *err)
{
        struct deferred *l;

        if (u->n_deferred == u->deferred_room) {
                size_t room = u->deferred_room ? 2 * u->deferred_room : 64;

                l = reallocarray(u->deferred, room, sizeof(*l));
                if (!l)
                        return err_set(err, ENOMEM, "unpacking the archive: out of memory");
                u->deferred = l;
                u->deferred_room = room;
        }
        l = &u->deferred[u->n_deferred];
        *l = (struct deferred){.path = strdup(path), .mode = mode, .order = u->n_deferred};
        if (!l->path)
                return err_set(err, ENOMEM, "unpacking the archive: out of memory");
        u->n_deferred++;
        return 0;
}

/* Until the end we need write permission, to unpack the directory's files. */
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
        return mode == (mode | 0700) ? 0 : defer_mode(u, path, mode, err);
}

/* Subdirectories first: after its own change a directory may be inaccessible. */
static int compare_deferred(const void *a, const void *b)
{
        const struct deferred *x = a, *y = b;
        int order = strcmp(y->path, x->path);

        return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int set_permissions(struct unpacker *u, struct err *err)
{
        if (u->n_deferred > 1)
                qsort(u->deferred, u->n_deferred, sizeof(*u->deferred), compare_deferred);
        for (size_t i = 0; i < u->n_deferred; i++) {
                const struct deferred *l = &u->deferred[i];
                _cleanup_close_ int parent = -1;
                const char *base;
                struct stat st;

                parent = beneath_parent(u->dir, l->path, 0, &base, NULL);
                /* A later entry may have replaced the directory. */
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
        /* Without AT_SYMLINK_FOLLOW this is a new name of a link itself, not of its target. */
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

/* The bytes that libarchive reads. */
static ssize_t read_source(struct archive *a, void *unpacker, const void **ret)
{
        struct unpacker *u = unpacker;
        ssize_t n = source_read(&u->source, ret, NULL);

        if (n < 0)
                archive_set_error(a, EPROTO, "%s", u->source.failed.msg);
        return n < 0 ? ARCHIVE_FATAL : n;
}

/*
 * A zip has its directory at its end, and the header before an entry may be incomplete (size,
 * permissions, whether it is a link). So the whole zip is read first.
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
                /* The warning is about a name in an unknown encoding, which is kept unchanged. */
                if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
                        return damaged(u, err);
                r = unpack_entry(u, e, err);
        }
        return r;
}

/*
 * Reads the bytes after the end of the tar too, since only then are the gzip data verified. If they
 * are damaged, that is the cause of any error in the tar within, and is reported in its place.
 * After an exceeded limit it does not read on, because that is the work that the limits prevent.
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
        for (size_t i = 0; i < u->n_deferred; i++)
                free(u->deferred[i].path);
        free(u->deferred);
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
