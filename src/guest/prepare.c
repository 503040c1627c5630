/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/prepare.h"

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "guest/cgroup.h"
#include "guest/network.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEMINFO_MAX = 16 * 1024 };

static uint64_t meminfo_kb(const char *text, const char *key)
{
        const char *line = strstr(text, key);

        return line ? strtoull(line + strlen(key), NULL, 10) : 0;
}

/*
 * Limits the program to the memory that is free now, less a reserve that keeps the kernel and the
 * agent working when the program uses all of it. Files that the program writes count, because they
 * are in memory.
 */
int prepare_limits(const struct guest *g, const struct wire_request *q, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(MEMINFO_MAX);
        uint64_t total, available, reserve;
        int r = fs_read("/proc/meminfo", &text, err);

        if (r < 0)
                return r;
        total = meminfo_kb(text.data, "MemTotal:") * 1024;
        available = meminfo_kb(text.data, "MemAvailable:") * 1024;
        reserve = total / 16;
        if (reserve < (uint64_t)PREPARE_RESERVE_MIN_MB << 20)
                reserve = (uint64_t)PREPARE_RESERVE_MIN_MB << 20;
        if (reserve > (uint64_t)PREPARE_RESERVE_MAX_MB << 20)
                reserve = (uint64_t)PREPARE_RESERVE_MAX_MB << 20;
        if (!q->archive)
                reserve += q->code_size;
        reserve += q->files_size;
        if (available <= 2 * reserve)
                return err_set(err, ENOMEM, "the machine has too little memory: %llu MiB are free",
                               (unsigned long long)(available >> 20));
        return cgroup_limit(g->cgroup, q->processes_max ? q->processes_max : PREPARE_PROCESSES_MAX,
                            available - reserve, err);
}

int prepare_machine(struct guest *g, const struct wire_request *q, struct err *err)
{
        struct timespec now = {.tv_sec = q->wall_clock_ms / 1000,
                               .tv_nsec = q->wall_clock_ms % 1000 * 1000000};
        int r;

        if (q->wall_clock_ms > 0 && clock_settime(CLOCK_REALTIME, &now) < 0)
                return err_errno(err, "setting the clock");
        r = network_name_host(q->id, err);
        if (r == 0)
                r = network_loopback(err);
        if (r == 0 && q->network.enabled) {
                r = modules_load_net(&g->modules, err);
                if (r == 0)
                        r = network_configure(&q->network, err);
                if (r < 0)
                        err_wrap(err, "network");
        }
        return r;
}

int prepare_code_file(const struct guest *g, const struct wire_request *q, int dir, struct err *err)
{
        char path[BENEATH_PATH_MAX];
        int fd;

        if (beneath_clean(q->file, path) < 0 || !*path)
                return err_set(err, EPERM, "code file \"%s\" leaves the working directory",
                               q->file);
        fd = beneath_create(dir, path, 0755, g->uid, err);
        return fd < 0 ? err_wrap(err, "code file") : fd;
}
