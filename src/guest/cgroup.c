/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/cgroup.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
        STAT_MAX = 4096,
        HIGH_PART = 32, /* pressure begins 1/32 below the limit */
        FILES_PART = 8, /* 1/8 of the limit, within these bounds, is kept for pages of files */
        FILES_MIN_MB = 8,
        FILES_MAX_MB = 64,
};

static int write_file(int dir, const char *name, const char *text)
{
        _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

static int write_number(int dir, const char *name, uint64_t n)
{
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, n);
        return write_file(dir, name, text);
}

/* The whole file as text; empty if it cannot be read. */
static void read_file(int dir, const char *name, char *ret, size_t size)
{
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

        ret[n > 0 ? n : 0] = '\0';
}

/* The number after "key " at the start of a line; 0 if there is none. */
static uint64_t number_of(const char *text, const char *key)
{
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) == 0 && line[n] == ' ')
                        return strtoull(line + n + 1, NULL, 10);
        }
        return 0;
}

int cgroup_create(const char *root, const char *name, struct err *err)
{
        _cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd, r;

        if (dir < 0)
                return err_errno(err, "cgroup %s", root);
        /* The cpu controller, if the kernel has it, shares the CPU between agent and program. */
        r = write_file(dir, "cgroup.subtree_control", "+memory +pids +cpu");
        if (r < 0)
                r = write_file(dir, "cgroup.subtree_control", "+memory +pids");
        if (r < 0)
                return err_set(err, -r, "cgroup controllers memory and pids: %s", strerror(-r));
        if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
                return err_errno(err, "cgroup %s/%s", root, name);
        fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? err_errno(err, "cgroup %s/%s", root, name) : fd;
}

int cgroup_limit(int cgroup, uint32_t processes, uint64_t memory, struct err *err)
{
        int r = write_number(cgroup, "pids.max", processes);

        if (r == 0)
                r = write_number(cgroup, "memory.max", memory);
        if (r == 0)
                r = write_number(cgroup, "memory.high", memory - memory / HIGH_PART);
        if (r == 0)
                r = write_number(cgroup, "memory.oom.group", 1);
        write_number(cgroup, "memory.swap.max", 0); /* fails if the kernel has no swap */
        return r < 0 ? err_set(err, -r, "limits of the program: %s", strerror(-r)) : 0;
}

pid_t cgroup_fork(int cgroup)
{
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)cgroup,
        };

        return cgroup < 0 ? fork() : (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int cgroup_kill(int cgroup)
{
        return write_file(cgroup, "cgroup.kill", "1");
}

int cgroup_open_pressure(int cgroup)
{
        return openat(cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
}

bool cgroup_is_full(int cgroup, int pressure)
{
        static const char *const kept[] = {"anon", "shmem", "kernel_stack", "pagetables",
                                           "slab_unreclaimable"};
        char text[STAT_MAX];
        uint64_t max, files, used = 0;

        if (pread(pressure, text, sizeof(text), 0) < 0) /* rearms it for the next event */
                return false;
        read_file(cgroup, "memory.max", text, sizeof(text));
        max = strtoull(text, NULL, 10);
        files = max / FILES_PART;
        if (files < (uint64_t)FILES_MIN_MB << 20)
                files = (uint64_t)FILES_MIN_MB << 20;
        if (files > (uint64_t)FILES_MAX_MB << 20)
                files = (uint64_t)FILES_MAX_MB << 20;
        read_file(cgroup, "memory.stat", text, sizeof(text));
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
                used += number_of(text, kept[i]);
        return max > 0 && used + files > max;
}

void cgroup_read_usage(int cgroup, struct cgroup_usage *ret)
{
        char text[STAT_MAX] = "";

        read_file(cgroup, "cpu.stat", text, sizeof(text));
        ret->user_us = number_of(text, "user_usec");
        ret->system_us = number_of(text, "system_usec");
        read_file(cgroup, "memory.peak", text, sizeof(text));
        ret->memory_peak = strtoull(text, NULL, 10);
        read_file(cgroup, "memory.events", text, sizeof(text));
        ret->oom = number_of(text, "oom_kill") > 0;
}
