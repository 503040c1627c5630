/* SPDX-License-Identifier: Apache-2.0 */
/* The standard process metrics, and build information. */
#include "prom/collect.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
        CPU,
        OPEN_FDS,
        MAX_FDS,
        VIRTUAL_MEMORY,
        VIRTUAL_MEMORY_MAX,
        RESIDENT_MEMORY,
        START_TIME,
        RECEIVED,
        TRANSMITTED,
        THREADS,
        N_PROCESS
};

enum { NETSTAT_MAX = 8192 }; /* bytes read of /proc/self/net/netstat */

/* Computed once, so that it never varies; again in the child of a fork(), whose field 22 of
 * /proc/self/stat differs. */
static double start_time;  /* 0 if unknown */
static double start_ticks; /* the value of field 22 */

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
        [VIRTUAL_MEMORY_MAX] = {.kind = PROM_GAUGE,
                                .name = "process_virtual_memory_max_bytes",
                                .help = "Maximum amount of virtual memory available in bytes."},
        [RESIDENT_MEMORY] = {.kind = PROM_GAUGE,
                             .name = "process_resident_memory_bytes",
                             .help = "Resident memory size in bytes."},
        [START_TIME] = {.kind = PROM_GAUGE,
                        .name = "process_start_time_seconds",
                        .help = "Start time of the process since unix epoch in seconds."},
        [RECEIVED] = {.kind = PROM_COUNTER,
                      .name = "process_network_receive_bytes_total",
                      .help = "Number of bytes received over the network in the network "
                              "namespace of the process."},
        [TRANSMITTED] = {.kind = PROM_COUNTER,
                         .name = "process_network_transmit_bytes_total",
                         .help = "Number of bytes sent over the network in the network namespace "
                                 "of the process."},
        [THREADS] = {.kind = PROM_GAUGE,
                     .name = "process_threads",
                     .help = "Number of threads of the process."},
};

/* /proc/self/stat, proc(5): the number `field` counts from 1, the second is the command in
 * parentheses, which may contain anything, so counting starts after the last parenthesis. */
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

/* Reads as much of the file as fits, and appends a NUL. */
static bool read_file(const char *path, char *out, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t len = 0;
        ssize_t n;
        if (fd < 0)
                return false;
        while ((n = read(fd, out + len, size - 1 - len)) > 0)
                len += (size_t)n;
        close(fd);
        out[len] = '\0';
        return len > 0;
}

static bool read_stat(char *out, size_t size)
{
        return read_file("/proc/self/stat", out, size);
}

/* /proc/self/net/netstat, proc(5): "IpExt: NAME NAME …" and below "IpExt: NUMBER NUMBER …". */
static bool netstat_field(const char *netstat, const char *name, double *ret)
{
        static const char group[] = "\nIpExt: ";
        const char *names = strstr(netstat, group);
        const char *numbers = names ? strstr(names + 1, group) : NULL;
        size_t len = strlen(name);
        if (!numbers)
                return false;
        names += sizeof(group) - 1;
        numbers += sizeof(group) - 1;
        for (;;) {
                size_t n = strcspn(names, " \n");
                if (n == len && memcmp(names, name, n) == 0)
                        break;
                numbers += strcspn(numbers, " \n");
                if (names[n] != ' ' || *numbers != ' ')
                        return false;
                names += n + 1;
                numbers++;
        }
        char *end;
        *ret = (double)strtoull(numbers, &end, 10);
        return end != numbers;
}

static void collect_network(struct prom_emitter *emitter)
{
        char netstat[NETSTAT_MAX];
        double v;
        if (!read_file("/proc/self/net/netstat", netstat, sizeof(netstat)))
                return;
        if (netstat_field(netstat, "InOctets", &v))
                prom_emit(emitter, RECEIVED, v);
        if (netstat_field(netstat, "OutOctets", &v))
                prom_emit(emitter, TRANSMITTED, v);
}

/* Uses getdents64 because opendir() allocates. */
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
        *ret = (double)(count - 1); /* without the descriptor used here */
        return n == 0;
}

static double timespec_seconds(clockid_t clock)
{
        struct timespec t = {0};
        clock_gettime(clock, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Field 22 is in clock ticks since boot. */
static double start_time_of(const char *stat)
{
        double ticks, known, seconds;
        __atomic_load(&start_ticks, &known, __ATOMIC_ACQUIRE);
        __atomic_load(&start_time, &seconds, __ATOMIC_RELAXED);
        if (!stat_field(stat, 22, &ticks) || (ticks == known && seconds > 0))
                return seconds;
        seconds = timespec_seconds(CLOCK_REALTIME) - timespec_seconds(CLOCK_BOOTTIME) +
                  ticks / (double)sysconf(_SC_CLK_TCK);
        __atomic_store(&start_time, &seconds, __ATOMIC_RELAXED);
        __atomic_store(&start_ticks, &ticks, __ATOMIC_RELEASE);
        return seconds;
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
        if (getrlimit(RLIMIT_AS, &limit) == 0) /* no limit counts as 2^64, as in other clients */
                prom_emit(emitter, VIRTUAL_MEMORY_MAX, (double)limit.rlim_cur);
        collect_network(emitter);
        const bool has_stat = read_stat(stat, sizeof(stat));
        v = start_time_of(has_stat ? stat : "");
        if (v > 0)
                prom_emit(emitter, START_TIME, v);
        if (!has_stat)
                return;
        if (stat_field(stat, 20, &v))
                prom_emit(emitter, THREADS, v);
        if (stat_field(stat, 23, &v))
                prom_emit(emitter, VIRTUAL_MEMORY, v);
        if (stat_field(stat, 24, &v))
                prom_emit(emitter, RESIDENT_MEMORY, v * (double)sysconf(_SC_PAGESIZE));
}

int prom_register_process_collector(struct prom_registry *registry, struct prom_error *error)
{
        char stat[1024];
        if (read_stat(stat, sizeof(stat)))
                (void)start_time_of(stat);
        return prom_register_own_(registry, process_metrics, N_PROCESS, collect_process, error);
}

int prom_register_build_info(struct prom_registry *registry, const char *name,
                             const struct prom_label *labels, struct prom_error *error)
{
        struct prom_desc desc = {.kind = PROM_INFO,
                                 .name = name,
                                 .help = "Always 1; the labels say what was built.",
                                 .const_labels = labels};
        struct prom_family *family;
        int r = prom_register(registry, &desc, &family, error);
        if (r == 0)
                prom_info_with(family);
        return r;
}
