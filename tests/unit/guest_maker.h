/* SPDX-License-Identifier: Apache-2.0 */
/* Archives for tests, and temporary directories to unpack them into. */
#pragma once

#include "base/fs.h"
#include "guest/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARCHIVE_MAX = 8 << 20 };

struct maker {
        struct archive *a;
        char *bytes;
        size_t used;
};

enum made { MADE_TAR, MADE_TAR_GZ, MADE_ZIP };

/* Takes options of libarchive's writer, or "". The password, if one is used, is "secret". */
static inline struct maker *maker_new_with(enum made made, const char *options)
{
        struct maker *m = calloc(1, sizeof(*m));

        assert_non_null(m);
        m->a = archive_write_new();
        m->bytes = malloc(ARCHIVE_MAX);
        assert_non_null(m->bytes);
        if (made == MADE_ZIP)
                archive_write_set_format_zip(m->a);
        else
                archive_write_set_format_pax_restricted(m->a);
        if (made == MADE_TAR_GZ)
                archive_write_add_filter_gzip(m->a);
        assert_int_equal(archive_write_set_options(m->a, options), ARCHIVE_OK);
        assert_int_equal(archive_write_set_passphrase(m->a, "secret"), ARCHIVE_OK);
        archive_write_set_bytes_in_last_block(m->a, 1);
        assert_int_equal(archive_write_open_memory(m->a, m->bytes, ARCHIVE_MAX, &m->used),
                         ARCHIVE_OK);
        return m;
}

static inline struct maker *maker_new_of(enum made made)
{
        return maker_new_with(made, "");
}

static inline struct maker *maker_new(bool gzip)
{
        return maker_new_of(gzip ? MADE_TAR_GZ : MADE_TAR);
}

static inline void maker_free(struct maker *m)
{
        free(m->bytes);
        free(m);
}

static inline void add(struct maker *m, const char *name, mode_t mode, const char *content)
{
        struct archive_entry *e = archive_entry_new();
        size_t n = content && S_ISREG(mode) ? strlen(content) : 0;

        archive_entry_set_pathname(e, name);
        archive_entry_set_mode(e, mode);
        archive_entry_set_size(e, (int64_t)n);
        archive_entry_set_mtime(e, 1000000000, 0);
        if (S_ISLNK(mode))
                archive_entry_set_symlink(e, content);
        if (S_ISCHR(mode))
                archive_entry_set_rdev(e, makedev(1, 3));
        assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
        if (n > 0)
                assert_int_equal(archive_write_data(m->a, content, n), n);
        archive_entry_free(e);
}

static inline void add_hardlink(struct maker *m, const char *name, const char *target)
{
        struct archive_entry *e = archive_entry_new();

        archive_entry_set_pathname(e, name);
        archive_entry_set_mode(e, S_IFREG | 0644);
        archive_entry_set_hardlink(e, target);
        assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
        archive_entry_free(e);
}

static inline void maker_end(struct maker *m)
{
        assert_int_equal(archive_write_close(m->a), ARCHIVE_OK);
        archive_write_free(m->a);
        m->a = NULL;
}

struct testdir {
        char dir[64];
        int fd;
};

static inline struct testdir testdir_new(void)
{
        struct testdir p = {.dir = "/tmp/vulcan-test-XXXXXX"};

        assert_non_null(mkdtemp(p.dir));
        p.fd = open(p.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(p.fd >= 0);
        return p;
}

static inline void testdir_release(struct testdir *p)
{
        close(p->fd);
        assert_int_equal(fs_remove_tree(p->dir, NULL), 0);
}

static inline int unpack_bytes(const struct testdir *p, const void *bytes, size_t n,
                               const struct unpack_limits *limits, struct err *err)
{
        int fd = memfd_create("archive", MFD_CLOEXEC);
        int r;

        assert_int_equal(write(fd, bytes, n), n);
        lseek(fd, 0, SEEK_SET);
        r = unpack(fd, p->fd, limits, err);
        close(fd);
        return r;
}

static inline int unpack_maker(const struct testdir *p, struct maker *m, struct err *err)
{
        struct unpack_limits limits = UNPACK_LIMITS;
        int r;

        maker_end(m);
        r = unpack_bytes(p, m->bytes, m->used, &limits, err);
        maker_free(m);
        return r;
}

static inline void expect_file(const struct testdir *p, const char *name, const char *content,
                               mode_t mode)
{
        char text[256] = "";
        struct stat st;
        int fd = openat(p->fd, name, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(content));
        assert_string_equal(text, content);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, mode);
        close(fd);
}
