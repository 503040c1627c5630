/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the process itself, and of its build. */
#include "prom/prom.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CPU, OPEN_FDS, MAX_FDS, VIRTUAL_MEMORY, RESIDENT_MEMORY, START_TIME, THREADS, N_PROCESS };

static double start_time; /* 0 if unknown; found once, so that it never wobbles */
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static const struct prom_desc process_metrics[N_PROCESS] = {
        [CPU] = {.kind = PROM_COUNTER,
                 .name = "process_cpu_seconds_total",
                 .help = "Total user and system CPU time spent in seconds."},
        [OPEN_FDS] = {.kind = PROM_GAUGE,
                      .name = "process_open_fds",
                      .help = "Number of open file descriptors."},
        [MAX_FDS] = {.kind = PROM_GAUGE,
                     .name = "process_max_fds",
                     .help = "Maximum number of open file descriptors."},
        [VIRTUAL_MEMORY] = {.kind = PROM_GAUGE,
                            .name = "process_virtual_memory_bytes",
                            .help = "Virtual memory size in bytes."},
        [RESIDENT_MEMORY] = {.kind = PROM_GAUGE,
                             .name = "process_resident_memory_bytes",
                             .help = "Resident memory size in bytes."},
        [START_TIME] = {.kind = PROM_GAUGE,
                        .name = "process_start_time_seconds",
                        .help = "Start time of the process since unix epoch in seconds."},
        [THREADS] = {.kind = PROM_GAUGE,
                     .name = "process_threads",
                     .help = "Number of threads of the process."},
};

/* /proc/self/stat, proc(5): the number `field` counts from 1, the second is the command in
 * parentheses, which may hold anything, so counting starts behind the last one. */
static bool stat_field(const char *stat, int field, double *ret)
{
        const char *p = strrchr(stat, ')');
        for (int i = 2; p && i < field; i++)
                p = strchr(p + 1, ' ');
        if (!p)
                return false;
        char *end;
        unsigned long long n = strtoull(p + 1, &end, 10);
        *ret = (double)n;
        return end != p + 1;
}

static bool read_stat(char *out, size_t size)
{
        int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        ssize_t n = read(fd, out, size - 1);
        close(fd);
        out[n > 0 ? n : 0] = '\0';
        return n > 0;
}

/* Not opendir(), which allocates. */
static bool count_open_fds(double *ret)
{
        char entries[4096];
        int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return false;
        long n, count = 0;
        while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0) {
                for (long at = 0; at < n;) {
                        unsigned short len; /* of struct linux_dirent64, getdents(2) */
                        memcpy(&len, entries + at + 16, sizeof(len));
                        if (entries[at + 19] != '.')
                                count++;
                        at += len;
                }
        }
        close(fd);
        *ret = (double)(count - 1); /* without the one just used */
        return n == 0;
}

static double timespec_seconds(clockid_t clock)
{
        struct timespec t = {0};
        clock_gettime(clock, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void collect_process(struct prom_emitter *emitter, void *data)
{
        char stat[1024];
        double v;
        struct rlimit limit;
        prom_emit(emitter, CPU, timespec_seconds(CLOCK_PROCESS_CPUTIME_ID));
        if (count_open_fds(&v))
                prom_emit(emitter, OPEN_FDS, v);
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                prom_emit(emitter, MAX_FDS, (double)limit.rlim_cur);
        if (start_time > 0)
                prom_emit(emitter, START_TIME, start_time);
        if (!read_stat(stat, sizeof(stat)))
                return;
        if (stat_field(stat, 20, &v))
                prom_emit(emitter, THREADS, v);
        if (stat_field(stat, 23, &v))
                prom_emit(emitter, VIRTUAL_MEMORY, v);
        if (stat_field(stat, 24, &v))
                prom_emit(emitter, RESIDENT_MEMORY, v * (double)sysconf(_SC_PAGESIZE));
}

/* Field 22 is in clock ticks after boot. */
static void find_start_time(void)
{
        char stat[1024];
        double ticks;
        if (!read_stat(stat, sizeof(stat)) || !stat_field(stat, 22, &ticks))
                return;
        double boot = timespec_seconds(CLOCK_REALTIME) - timespec_seconds(CLOCK_BOOTTIME);
        start_time = boot + ticks / (double)sysconf(_SC_CLK_TCK);
}

int prom_register_process_collector(struct prom_registry *registry, struct prom_error *error)
{
        pthread_once(&start_once, find_start_time);
        return prom_register_collector(registry, process_metrics, N_PROCESS, collect_process, NULL,
                                       NULL, error);
}

int prom_register_build_info(struct prom_registry *registry, const char *name,
                             const struct prom_label *labels, struct prom_error *error)
{
        struct prom_desc desc = {.kind = PROM_GAUGE,
                                 .name = name,
                                 .help = "Always 1; the labels say what was built.",
                                 .const_labels = labels};
        struct prom_family *family;
        int r = prom_register(registry, &desc, &family, error);
        if (r == 0)
                prom_gauge_set(prom_gauge_with(family), 1);
        return r;
}
