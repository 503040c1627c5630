/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C and C++ programs of `make bench-prom` share. Each program is one library under test
 * and runs one case per call, so that the runner (bench/prom/run) can take turns between them:
 *
 *     PROGRAM --about                             its name and versions, one line
 *     PROGRAM CASE THREADS COUNT SERIES OUT       one case; exit status 3 if it has no such case
 *
 * An update case runs COUNT updates (a multiple of BENCH_VALUES) on each of THREADS threads. A
 * scrape case makes SERIES series, lets THREADS - 1 more threads touch all of them and live on, and
 * measures the memory that is resident then. After that it touches all series and scrapes, COUNT times;
 * only the scrapes are timed, the first one is not.
 * Either way the library's last exposition goes to the file OUT, where the runner checks that all
 * that was counted is there. Standard output is one line of JSON:
 *
 *     {"ns": time of all, "cpu_ns": the processor's, "allocations": in all timed scrapes,
 *      "resident_kb": see above, 0 in an update case, "peak_kb": of the process}
 *
 * The Go and Rust programs (bench/prom/go, bench/prom/rust) do the same.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
        BENCH_VALUES = 1024,     /* bench_values[] */
        BENCH_FIRST_VALUES = 20, /* observations in a new histogram of a scrape case */
        BENCH_COPIES = 256,      /* bench_copies[] */
        BENCH_STEP = 7919,       /* series i of a scrape case starts at i * BENCH_STEP */
        BENCH_THREADS_MAX = 1024,
};

/* Observed in turn: n / 16 * 2^e for n in 16 to 31 and e in -8 to 4, by a fixed pseudo-random rule.
 * Sums of them are exact. */
extern double bench_values[BENCH_VALUES];

/* Label values for look-ups: copy i holds combination i % 16. */
extern const char *const bench_methods[4];
extern const char *const bench_statuses[4];
extern struct bench_copy {
        char method[16];
        char status[16];
} bench_copies[BENCH_COPIES];

struct bench_body {
        const char *data;
        size_t len;
};

struct bench_update {
        const char *name;
        void (*loop)(long count);
};

struct bench_scrape {
        const char *name;
        void (*make)(size_t n_series);
        void (*touch)(void); /* adds 1 to each counter, or bench_values[i % BENCH_VALUES] to each
                                histogram i */
        struct bench_body (*scrape)(void);
};

struct bench_peer {
        const char *about;
        const struct bench_update *updates; /* ended by a NULL name */
        const struct bench_scrape *scrapes; /* likewise */
        struct bench_body (*expose)(void);  /* what the update cases counted */
};

int bench_main(int argc, char **argv, const struct bench_peer *peer);

/* The one loop of all update cases; `setup` declares what it keeps in registers, as a caller would a
 * handle. Nothing moves across the barrier, and no iteration is merged with another one. */
#define BENCH_LOOP(name, setup, operation)                                                         \
        static void name(long count)                                                               \
        {                                                                                          \
                setup;                                                                             \
                for (long i = 0; i < count; i++) {                                                 \
                        operation;                                                                 \
                        __asm__ volatile("" ::: "memory");                                         \
                }                                                                                  \
        }

/* Allocations of all threads are counted (alloc.c) between these; 0 under sanitizers. */
void bench_allocations_start(void);
uint64_t bench_allocations_stop(void);

#ifdef __cplusplus
}
#endif
