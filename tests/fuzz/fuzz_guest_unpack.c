/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks the input into a subdirectory, beside a file that links in the input can point to, and
 * checks that nothing outside was created or changed. Then searches the unpacked files for an entry
 * point.
 */
#include "guest/entry.h"
#include "guest/unpack.h"

#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_entries(const char *path)
{
        DIR *d = opendir(path);
        int n = 0;

        if (!d)
                abort();
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static int make_outside(const char *outer)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/outside", outer);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, "kept", 4) != 4)
                abort();
        return fd;
}

static void check_outside(const char *outer, int fd)
{
        char text[8] = "";
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_mode != (S_IFREG | 0640) || st.st_nlink != 1 ||
            st.st_size != 4 || pread(fd, text, sizeof(text) - 1, 0) != 4 ||
            strcmp(text, "kept") != 0 || count_entries(outer) != 4)
                abort();
        close(fd);
}

/* An entry point must be a file or directory below the top, with a name that stays below it. */
static void find_entry(int dir)
{
        static const struct wire_entry wanted = {
                .wanted = true,
                .names = {"package.json:main", "main.js"},
                .n_names = 2,
                .suffixes = {".js", ".py"},
                .n_suffixes = 2,
        };
        struct err err = ERR_INIT;
        char path[sizeof(struct entry) + 2];
        struct entry e;

        if (entry_find(dir, &wanted, &e, &err) < 0) {
                if (err.msg[0] == '\0')
                        abort();
                return;
        }
        snprintf(path, sizeof(path), "%s%s%s", e.root, *e.root ? "/" : "", e.path);
        if (strchr(e.root, '/') || e.path[0] == '/' || strstr(e.path, "../") ||
            faccessat(dir, path, F_OK, 0) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct unpack_limits limits = {.entries = 50, .bytes = 1 << 20};
        char outer[] = "/tmp/vulcan-fuzz-XXXXXX", inner[64];
        struct err err = ERR_INIT;
        int fd = memfd_create("archive", MFD_CLOEXEC);
        int dir, outside, r;

        if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0 ||
            !mkdtemp(outer))
                abort();
        outside = make_outside(outer);
        snprintf(inner, sizeof(inner), "%s/in", outer);
        if (mkdir(inner, 0700) < 0 || (dir = open(inner, O_PATH | O_DIRECTORY)) < 0)
                abort();
        r = unpack(fd, dir, &limits, &err);
        if (r < 0 && (err.msg[0] == '\0' || strstr(err.msg, "(null)")))
                abort();
        if (r == 0)
                find_entry(dir);
        close(dir);
        close(fd);
        check_outside(outer, outside);
        if (fs_remove_tree(outer, &err) < 0)
                abort();
        return 0;
}
