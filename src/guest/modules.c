/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/modules.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <string.h>
#include <sys/syscall.h>

enum {
        ORDER_MAX = 16 * 1024,
        NAME_MAX_BYTES = 256,
};

#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

static int load(int fd, int flags)
{
        if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

/* The kernel's names for files it unpacks itself end in .xz, .zst or .gz, not in .ko. */
static int flags_of(const char *name)
{
        const char *dot = strrchr(name, '.');

        return dot && strcmp(dot, ".ko") != 0 ? MODULE_INIT_COMPRESSED_FILE : 0;
}

static int take_line(const char *dir, char *line, struct modules *m, struct err *err)
{
        char path[NAME_MAX_BYTES];
        _cleanup_close_ int fd = -1;
        int net = strncmp(line, "net ", 4) == 0;
        int r;

        if (net)
                line += 4;
        line += strspn(line, " ");
        r = fs_join(path, sizeof(path), dir, line, err);
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "kernel module %s", path);
        if (net) {
                if (m->n_net == MODULES_NET_MAX)
                        return err_set(err, E2BIG, "more than %d network modules", MODULES_NET_MAX);
                m->net[m->n_net++] = steal_fd(&fd);
                return 0;
        }
        r = load(fd, flags_of(line));
        if (r < 0)
                return err_set(err, -r, "kernel module %s: %s", path, strerror(-r));
        return 0;
}

int modules_load(const char *dir, struct modules *ret, struct err *err)
{
        _cleanup_buf_ struct buf order = BUF_INIT(ORDER_MAX);
        struct err further = ERR_INIT; /* after the first error */
        char path[NAME_MAX_BYTES];
        char *rest, *line;
        int first, r;

        first = fs_join(path, sizeof(path), dir, "order", err);
        if (first == 0)
                first = fs_read(path, &order, err);
        if (first < 0)
                return first == -ENOENT ? 0 : first;
        rest = order.data;
        while ((line = strsep(&rest, "\n")) != NULL) {
                if (!*line || *line == '#')
                        continue;
                r = take_line(dir, line, ret, first < 0 ? &further : err);
                if (r < 0 && first == 0)
                        first = r;
        }
        return first;
}

int modules_load_net(struct modules *m, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < m->n_net; i++) {
                if (r == 0)
                        r = load(m->net[i], 0);
                close_fd(&m->net[i]);
        }
        m->n_net = 0;
        return r < 0 ? err_set(err, -r, "kernel modules of the network: %s", strerror(-r)) : 0;
}
