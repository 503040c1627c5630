/* SPDX-License-Identifier: Apache-2.0 */
#include "image/check.h"

#include "base/cleanup.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        SEGMENTS_MAX = 64,
        CPIO_HEADER = 110, /* bytes of a newc header, before the name */
        CPIO_NAME_MAX = 256,
        CPIO_ENTRIES_MAX = 4096, /* more than a kernel has modules */
};

static int corrupt(const char *path, const char *what, struct err *err)
{
        return err_set(err, EILSEQ, "%s is corrupt (%s): remove it and run `make images`", path,
                       what);
}

static int open_file(const char *path, uint64_t *ret_size, struct err *err)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return err_errno(err, "cannot open %s", path);
        if (fstat(fd, &st) < 0) {
                int r = err_errno(err, "stat %s", path);

                close(fd);
                return r;
        }
        *ret_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        return fd;
}

/*
 * Superblock, from Linux's Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h:
 * magic at 0, bytes_used (64 bits, little-endian) at 40.
 */
int image_check_squashfs(const char *path, struct err *err)
{
        _cleanup_close_ int fd = -1;
        unsigned char head[96];
        uint64_t used, size = 0;

        fd = open_file(path, &size, err);
        if (fd < 0)
                return fd;
        if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, "hsqs", 4) != 0)
                return corrupt(path, "not a squashfs image", err);
        memcpy(&used, head + 40, sizeof(used));
        used = le64toh(used);
        if (used > size)
                return err_set(
                        err, EILSEQ,
                        "%s is corrupt (%llu of %llu bytes): remove it and run `make images`", path,
                        (unsigned long long)size, (unsigned long long)used);
        return 0;
}

int image_check_kernel(const char *path, struct err *err)
{
        Elf64_Phdr segments[SEGMENTS_MAX];
        _cleanup_close_ int fd = -1;
        Elf64_Ehdr head;
        uint64_t size = 0;
        size_t bytes;

        fd = open_file(path, &size, err);
        if (fd < 0)
                return fd;
        if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
            memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
                return 0;
        if (head.e_phnum > SEGMENTS_MAX)
                return corrupt(path, "too many segments", err);
        bytes = head.e_phnum * sizeof(segments[0]);
        if (pread(fd, segments, bytes, (off_t)head.e_phoff) != (ssize_t)bytes)
                return corrupt(path, "truncated", err);
        for (size_t i = 0; i < head.e_phnum; i++)
                if (segments[i].p_offset > size ||
                    segments[i].p_filesz > size - segments[i].p_offset)
                        return corrupt(path, "truncated", err);
        return 0;
}

/* The value of a field of 8 hexadecimal digits. */
static uint64_t cpio_number(const char *field)
{
        char text[9] = "";

        memcpy(text, field, 8);
        return strtoull(text, NULL, 16);
}

/*
 * Walks through concatenated archives, which may have zeros between them. Format: Linux's
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
static int walk_cpio(int fd, uint64_t size, bool *ret_whole)
{
        bool ended = false;
        uint64_t at = 0;

        for (int i = 0; i < CPIO_ENTRIES_MAX && at < size; i++) {
                char head[CPIO_HEADER + CPIO_NAME_MAX] = "";
                ssize_t n = pread(fd, head, sizeof(head) - 1, (off_t)at);
                uint64_t name, next;

                if (n < 0)
                        return -errno;
                if (head[0] == '\0' && ended) {
                        at += 4;
                        while (at % 512)
                                at += 4;
                        continue;
                }
                if (n < CPIO_HEADER || memcmp(head, "070701", 6) != 0)
                        break;
                name = cpio_number(head + 94);
                next = (at + CPIO_HEADER + name + 3) & ~UINT64_C(3);
                next = (next + cpio_number(head + 54) + 3) & ~UINT64_C(3);
                if (next > size)
                        break;
                ended = strcmp(head + CPIO_HEADER, "TRAILER!!!") == 0;
                at = next;
        }
        *ret_whole = ended && at >= size;
        return 0;
}

int image_check_initramfs(const char *path, struct err *err)
{
        _cleanup_close_ int fd = -1;
        bool whole = false;
        uint64_t size = 0;
        char magic[6];
        int r;

        fd = open_file(path, &size, err);
        if (fd < 0)
                return fd;
        if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic) || memcmp(magic, "070701", 6) != 0)
                return 0;
        r = walk_cpio(fd, size, &whole);
        if (r < 0)
                return err_set(err, -r, "cannot read %s: %s", path, strerror(-r));
        return whole ? 0 : corrupt(path, "truncated", err);
}
