/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared code of the C and C++ programs of `make bench-prom`. Each program tests one library and
 * runs one case per call, so that the runner (bench/prom/run) can alternate between them:
 *
 *     PROGRAM --about                             prints name and versions in one line
 *     PROGRAM CASE THREADS COUNT SERIES OUT       runs a case; exit status 3 if it is unknown
 *
 * An update case runs COUNT updates (a multiple of BENCH_VALUES) on each of THREADS threads. A
 * scrape case makes SERIES series, lets THREADS - 1 more threads update all of them and stay alive,
 * and measures the resident memory. Then it updates all series and scrapes, COUNT times. Only
 * scrapes after the first are timed.
 *
 * The last exposition goes to the file OUT, and the runner checks its counts. Standard output is
 * one line of JSON:
 *
 *     {"ns": wall-clock time, "cpu_ns": CPU time, "allocations": in all timed scrapes,
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

/* Values to observe: n / 16 * 2^e with pseudo-random n in 16 to 31 and e in -8 to 4. Their sums are
 * exact. */
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
        void (*touch)(void); /* adds 1 to each counter; observes bench_values[i % BENCH_VALUES] in
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

/* The loop of all update cases. `setup` declares what it keeps in registers, a handle for example.
 * The barrier keeps the compiler from merging iterations. */
#define BENCH_LOOP(name, setup, operation)                                                         \
        static void name(long count)                                                               \
        {                                                                                          \
                setup;                                                                             \
                for (long i = 0; i < count; i++) {                                                 \
                        operation;                                                                 \
                        __asm__ volatile("" ::: "memory");                                         \
                }                                                                                  \
        }

/* Counts the allocations of all threads between the two calls (alloc.c); 0 under sanitizers. */
void bench_allocations_start(void);
uint64_t bench_allocations_stop(void);

#ifdef __cplusplus
}
#endif
