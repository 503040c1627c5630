/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NO_SUCH_CASE = 3 };

double bench_values[BENCH_VALUES];
const char *const bench_methods[4] = {"GET", "POST", "PUT", "DELETE"};
const char *const bench_statuses[4] = {"200", "301", "404", "503"};
struct bench_copy bench_copies[BENCH_COPIES];

static void fill_tables(void)
{
        uint32_t x = 1;
        for (size_t i = 0; i < BENCH_VALUES; i++) {
                x = x * 1103515245 + 12345;
                uint32_t exponent = (x >> 28) * 13 >> 4;
                bench_values[i] = (double)(16 + (x >> 24 & 15)) / 16 *
                                  (double)(UINT64_C(1) << exponent) / 256;
        }
        for (size_t i = 0; i < BENCH_COPIES; i++) {
                strcpy(bench_copies[i].method, bench_methods[i % 4]);
                strcpy(bench_copies[i].status, bench_statuses[i / 4 % 4]);
        }
}

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec t;
        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned long memory_kb(const char *name)
{
        char line[256];
        unsigned long kb = 0;
        FILE *f = fopen("/proc/self/status", "r");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, name, strlen(name)) == 0)
                        kb = strtoul(line + strlen(name), NULL, 10);
        if (f)
                fclose(f);
        return kb;
}

static void print_result(uint64_t ns, uint64_t cpu_ns, uint64_t allocations,
                         unsigned long resident_kb)
{
        printf("{\"ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"allocations\": %" PRIu64
               ", \"resident_kb\": %lu, \"peak_kb\": %lu}\n",
               ns, cpu_ns, allocations, resident_kb, memory_kb("VmHWM:"));
}

static void write_body(struct bench_body body, const char *path)
{
        FILE *f = fopen(path, "w");
        if (!f || fwrite(body.data, 1, body.len, f) != body.len || fclose(f) != 0)
                err(1, "%s", path);
}

/* ---- updates ------------------------------------------------------------------------------- */

struct worker {
        pthread_t thread;
        pthread_barrier_t *start;
        void (*loop)(long count);
        long count;
        uint64_t begin_ns, end_ns, cpu_ns;
};

static void *work(void *arg)
{
        struct worker *w = arg;
        pthread_barrier_wait(w->start);
        w->begin_ns = clock_ns(CLOCK_MONOTONIC);
        uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        w->loop(w->count);
        w->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
        w->end_ns = clock_ns(CLOCK_MONOTONIC);
        return NULL;
}

/* Returns the time from the start of the first thread to the end of the last. */
static uint64_t run_threads(void (*loop)(long), unsigned threads, long count, uint64_t *ret_cpu_ns)
{
        struct worker *workers = calloc(threads, sizeof(*workers));
        pthread_barrier_t start;
        uint64_t begin = UINT64_MAX, end = 0, cpu_ns = 0;
        if (!workers || pthread_barrier_init(&start, NULL, threads))
                errx(1, "no memory");
        for (unsigned i = 0; i < threads; i++) {
                workers[i] = (struct worker){.start = &start, .loop = loop, .count = count};
                if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
                        errx(1, "no thread");
        }
        for (unsigned i = 0; i < threads; i++) {
                pthread_join(workers[i].thread, NULL);
                begin = workers[i].begin_ns < begin ? workers[i].begin_ns : begin;
                end = workers[i].end_ns > end ? workers[i].end_ns : end;
                cpu_ns += workers[i].cpu_ns;
        }
        pthread_barrier_destroy(&start);
        free(workers);
        *ret_cpu_ns = cpu_ns;
        return end - begin;
}

/* ---- scrapes ------------------------------------------------------------------------------- */

struct toucher {
        void (*touch)(void);
        pthread_barrier_t *touched;
        pthread_barrier_t *over;
};

static void *touch_and_stay(void *arg)
{
        const struct toucher *t = arg;
        t->touch();
        pthread_barrier_wait(t->touched);
        pthread_barrier_wait(t->over);
        return NULL;
}

static void scrapes(const struct bench_scrape *s, unsigned threads, long count, size_t n_series,
                    const char *path)
{
        pthread_t ids[BENCH_THREADS_MAX];
        pthread_barrier_t touched, over;
        struct toucher toucher = {s->touch, &touched, &over};
        struct bench_body body = {NULL, 0};
        uint64_t ns = 0, cpu_ns = 0, allocations = 0;
        s->make(n_series);
        pthread_barrier_init(&touched, NULL, threads);
        pthread_barrier_init(&over, NULL, threads);
        for (unsigned i = 1; i < threads; i++)
                if (pthread_create(&ids[i], NULL, touch_and_stay, &toucher))
                        errx(1, "no thread");
        pthread_barrier_wait(&touched);
        const unsigned long resident_kb = memory_kb("VmRSS:");
        for (long i = -1; i < count; i++) {
                s->touch();
                bench_allocations_start();
                uint64_t begin = clock_ns(CLOCK_MONOTONIC);
                uint64_t cpu_begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
                body = s->scrape();
                uint64_t cpu_end = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
                uint64_t end = clock_ns(CLOCK_MONOTONIC);
                uint64_t n = bench_allocations_stop();
                if (i < 0)
                        continue;
                ns += end - begin;
                cpu_ns += cpu_end - cpu_begin;
                allocations += n;
        }
        print_result(ns, cpu_ns, allocations, resident_kb);
        write_body(body, path);
        pthread_barrier_wait(&over);
        for (unsigned i = 1; i < threads; i++)
                pthread_join(ids[i], NULL);
}

int bench_main(int argc, char **argv, const struct bench_peer *peer)
{
        if (argc == 2 && strcmp(argv[1], "--about") == 0) {
                puts(peer->about);
                return 0;
        }
        if (argc != 6)
                errx(2, "usage: %s --about | CASE THREADS COUNT SERIES OUT", argv[0]);
        const long threads = atol(argv[2]), count = atol(argv[3]);
        if (threads < 1 || threads > BENCH_THREADS_MAX || count < 1)
                errx(2, "THREADS or COUNT is out of bounds");
        fill_tables();
        for (const struct bench_update *u = peer->updates; u->name; u++) {
                if (strcmp(u->name, argv[1]) != 0)
                        continue;
                uint64_t cpu_ns;
                uint64_t ns = run_threads(u->loop, (unsigned)threads, count, &cpu_ns);
                print_result(ns, cpu_ns, 0, 0);
                write_body(peer->expose(), argv[5]);
                return 0;
        }
        for (const struct bench_scrape *s = peer->scrapes; s->name; s++) {
                if (strcmp(s->name, argv[1]) != 0)
                        continue;
                scrapes(s, (unsigned)threads, count, (size_t)atol(argv[4]), argv[5]);
                return 0;
        }
        return NO_SUCH_CASE;
}
