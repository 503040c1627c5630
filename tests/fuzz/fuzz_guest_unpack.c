/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks the input into a directory that lies alone in another one, and looks whether anything
 * has appeared beside it or leads out of it.
 */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct unpack_limits limits = {.entries = 50, .bytes = 1 << 20};
        char outer[] = "/tmp/vulcan-fuzz-XXXXXX", inner[64];
        struct err err = ERR_INIT;
        int fd = memfd_create("archive", MFD_CLOEXEC);
        int dir;

        if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0 ||
            !mkdtemp(outer))
                abort();
        snprintf(inner, sizeof(inner), "%s/in", outer);
        if (mkdir(inner, 0700) < 0 || (dir = open(inner, O_PATH | O_DIRECTORY)) < 0)
                abort();
        if (unpack(fd, dir, &limits, &err) < 0 && err.msg[0] == '\0')
                abort();
        close(dir);
        close(fd);
        if (count_entries(outer) != 3 || fs_remove_tree(outer, &err) < 0)
                abort();
        return 0;
}
