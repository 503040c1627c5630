/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of prom compared with a lower bound: updates on one thread and on two, and a scrape.
 *
 * "floor" is the same work written by hand in this file: a plain thread-local cell in place of
 * prom's cells, an atomic variable for gauges, a comparison with the previous values for look-ups,
 * and for scrapes a copy of each line followed by its digits. Build with B=release for numbers to
 * quote.
 */
#include "prom/prom.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, UPDATES = 4000000, THREADS_MAX = 2 };

static struct prom_counter *counter;
static struct prom_gauge *gauge;
static struct prom_histogram *histogram;
static struct prom_family *vector;

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};

/* ---- the floor ----------------------------------------------------------------------------- */

static __thread struct {
        uint64_t counter;
        uint64_t sequence;
        double sum;
        uint64_t buckets[PROM_DEFAULT_BUCKETS + 1];
        char method[16], status[16];
} own __attribute__((aligned(64)));

static uint64_t shared_counter __attribute__((aligned(64)));
static uint64_t shared_gauge __attribute__((aligned(64)));

static void floor_counter(long i)
{
        __atomic_store_n(&own.counter, __atomic_load_n(&own.counter, __ATOMIC_RELAXED) + 1,
                         __ATOMIC_RELAXED);
}

static void floor_shared_counter(long i)
{
        __atomic_fetch_add(&shared_counter, 1, __ATOMIC_RELAXED);
}

static void floor_lookup(long i)
{
        const char *method = methods[0], *status = "200";
        __asm__(""
                : "+r"(method), "+r"(status)); /* hides the values from the compiler, as they are
                                                   * hidden in prom */
        if (strcmp(own.method, method) != 0 || strcmp(own.status, status) != 0) {
                strcpy(own.method, method);
                strcpy(own.status, status);
        }
        floor_counter(i);
}

static void floor_gauge(long i)
{
        uint64_t old = __atomic_load_n(&shared_gauge, __ATOMIC_RELAXED), new;
        double v;
        do {
                memcpy(&v, &old, sizeof(v));
                v += 1;
                memcpy(&new, &v, sizeof(new));
        } while (!__atomic_compare_exchange_n(&shared_gauge, &old, new, 1, __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED));
}

static inline double observed(long i)
{
        return (double)(i & 15) * 0.7;
}

static void floor_histogram(long i)
{
        double v = observed(i);
        size_t below = 0;
        for (size_t b = 0; b < PROM_DEFAULT_BUCKETS; b++)
                below += prom_default_buckets[b] < v;
        __atomic_store_n(&own.sequence, own.sequence + 1, __ATOMIC_RELAXED);
        own.sum += v;
        __atomic_store_n(&own.buckets[below], own.buckets[below] + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&own.sequence, own.sequence + 1, __ATOMIC_RELEASE);
}

/* ---- prom ---------------------------------------------------------------------------------- */

static void prom_counter_once(long i)
{
        prom_counter_inc(counter);
}

static void prom_counter_fraction_once(long i)
{
        prom_counter_add(counter, 0.5);
}

static void prom_lookup_same(long i)
{
        prom_counter_inc(prom_counter_with(vector, methods[0], "200"));
}

static void prom_lookup_other(long i)
{
        prom_counter_inc(prom_counter_with(vector, methods[i & 3], "200"));
}

static void prom_gauge_once(long i)
{
        prom_gauge_inc(gauge);
}

static void prom_histogram_once(long i)
{
        prom_histogram_observe(histogram, observed(i));
}

static void prom_histogram_timed(long i)
{
        prom_histogram_observe_since_ns(histogram, prom_now_ns());
}

/* ---- updates ---- */

struct row {
        const char *name;
        void *(*loop)(void *);
};

static pthread_barrier_t start;

/* Loops are macros, so that the compiler can inline what a caller could inline. */
#define LOOP(function)                                                                             \
        static void *loop_##function(void *ret_ns)                                                 \
        {                                                                                          \
                pthread_barrier_wait(&start);                                                      \
                uint64_t begin = prom_now_ns();                                                    \
                for (long i = 0; i < UPDATES; i++) {                                               \
                        function(i);                                                               \
                        __asm__ volatile("" ::: "memory");                                         \
                }                                                                                  \
                *(uint64_t *)ret_ns = prom_now_ns() - begin;                                       \
                return NULL;                                                                       \
        }

LOOP(floor_counter)
LOOP(floor_shared_counter)
LOOP(floor_lookup)
LOOP(floor_gauge)
LOOP(floor_histogram)
LOOP(prom_counter_once)
LOOP(prom_counter_fraction_once)
LOOP(prom_lookup_same)
LOOP(prom_lookup_other)
LOOP(prom_gauge_once)
LOOP(prom_histogram_once)
LOOP(prom_histogram_timed)

static double best_ns(void *(*loop)(void *), unsigned threads)
{
        double best = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
                pthread_t thread[THREADS_MAX];
                uint64_t ns[THREADS_MAX], slowest = 0;
                pthread_barrier_init(&start, NULL, threads);
                for (unsigned i = 0; i < threads; i++)
                        if (pthread_create(&thread[i], NULL, loop, &ns[i]))
                                abort();
                for (unsigned i = 0; i < threads; i++) {
                        pthread_join(thread[i], NULL);
                        slowest = ns[i] > slowest ? ns[i] : slowest;
                }
                pthread_barrier_destroy(&start);
                if ((double)slowest / UPDATES < best)
                        best = (double)slowest / UPDATES;
        }
        return best;
}

static void bench_updates(void)
{
        static const struct row rows[] = {
                {"counter +1: floor, own cell", loop_floor_counter},
                {"counter +1: floor, shared fetch-add", loop_floor_shared_counter},
                {"counter +1: prom", loop_prom_counter_once},
                {"counter +0.5: prom", loop_prom_counter_fraction_once},
                {"2 labels looked up, the same: floor", loop_floor_lookup},
                {"2 labels looked up, the same: prom", loop_prom_lookup_same},
                {"2 labels looked up, in turn: prom", loop_prom_lookup_other},
                {"gauge +1: floor, shared cell", loop_floor_gauge},
                {"gauge +1: prom", loop_prom_gauge_once},
                {"histogram, 11 buckets: floor, own cells", loop_floor_histogram},
                {"histogram, 11 buckets: prom", loop_prom_histogram_once},
                {"histogram with two clock reads: prom", loop_prom_histogram_timed},
        };
        printf("%-42s %10s %10s\n", "ns per update", "1 thread", "2 threads");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                printf("%-42s %10.2f %10.2f\n", rows[i].name, best_ns(rows[i].loop, 1),
                       best_ns(rows[i].loop, 2));
}

/* ---- scrapes ---- */

/* The lines without their numbers, and the numbers. */
struct plain {
        size_t n;
        char (*lines)[64];
        size_t *len;
        uint64_t *values;
        char *out;
};

static void plain_new(struct plain *p, size_t n)
{
        *p = (struct plain){n, calloc(n, 64), calloc(n, sizeof(size_t)), calloc(n, 8),
                            malloc(n * 96 + 64)};
        for (size_t i = 0; i < n; i++) {
                p->len[i] = (size_t)snprintf(p->lines[i], 64,
                                             "bench_total{method=\"GET\",path=\"/api/%zu\"} ", i);
                p->values[i] = i * 7919;
        }
}

static void plain_free(struct plain *p)
{
        free(p->lines);
        free(p->len);
        free(p->values);
        free(p->out);
}

static size_t plain_render(const struct plain *p)
{
        char *out = p->out;
        for (size_t i = 0; i < p->n; i++) {
                memcpy(out, p->lines[i], 64);
                out += p->len[i];
                char digits[20], *d = digits + 20;
                uint64_t v = p->values[i];
                do
                        *--d = (char)('0' + v % 10);
                while (v /= 10);
                memcpy(out, d, (size_t)(digits + 20 - d));
                out += digits + 20 - d;
                *out++ = '\n';
        }
        return (size_t)(out - p->out);
}

static struct prom_registry *registry_with(enum prom_kind kind, size_t n)
{
        static const char *const labels[] = {"method", "path", NULL};
        const struct prom_desc desc = {.kind = kind,
                                       .name = kind == PROM_COUNTER ? "bench_total" : "bench",
                                       .help = "A metric.",
                                       .labels = labels,
                                       .max_series = n};
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        if (!r || prom_register(r, &desc, &family, NULL) < 0)
                abort();
        for (size_t i = 0; i < n; i++) {
                char path[32];
                snprintf(path, sizeof(path), "/api/%zu", i);
                prom_counter_add_int(kind == PROM_COUNTER ? prom_counter_with(family, "GET", path)
                                                          : NULL,
                                     i * 7919);
                for (int j = 0; kind == PROM_HISTOGRAM && j < 20; j++)
                        prom_histogram_observe(prom_histogram_with(family, "GET", path),
                                               (double)(i + 1) * 0.00137 * j);
        }
        return r;
}

static double best_scrape_ms(struct prom_registry *r, enum prom_format_kind kind, size_t *ret_bytes)
{
        struct prom_buf buf = PROM_BUF_INIT;
        double best = 1e9;
        for (int i = 0; i < 30; i++) {
                uint64_t begin = prom_now_ns();
                if (prom_render(r, (struct prom_format){.kind = kind}, NULL, &buf) < 0)
                        abort();
                double ms = (double)(prom_now_ns() - begin) / 1e6;
                best = ms < best ? ms : best;
        }
        *ret_bytes = buf.len;
        prom_buf_release(&buf);
        return best;
}

static double best_plain_ms(const struct plain *p)
{
        double best = 1e9;
        for (int i = 0; i < 30; i++) {
                uint64_t begin = prom_now_ns();
                plain_render(p);
                __asm__ volatile("" ::: "memory");
                double ms = (double)(prom_now_ns() - begin) / 1e6;
                best = ms < best ? ms : best;
        }
        return best;
}

/* Renders in each format. `floor` is that of the text format; 0: none. */
static void bench_formats(const char *name, struct prom_registry *r, double floor_ms)
{
        static const struct {
                enum prom_format_kind kind;
                const char *name;
        } formats[] = {{PROM_TEXT_0_0_4, "text"},
                       {PROM_OPENMETRICS_1_0_0, "OpenMetrics"},
                       {PROM_PROTOBUF_DELIMITED, "protobuf"}};
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                size_t bytes;
                double ms = best_scrape_ms(r, formats[i].kind, &bytes);
                printf("%-28s %-13s %10.3f %10.3f %10zu\n", name, formats[i].name, ms, floor_ms,
                       bytes);
        }
}

static void bench_scrapes(void)
{
        static const size_t sizes[] = {1000, 10000, 100000};
        printf("\n%-42s %10s %10s %10s\n", "scrape", "prom, ms", "floor, ms", "bytes");
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                char name[64];
                struct plain plain;
                struct prom_registry *r = registry_with(PROM_COUNTER, sizes[i]);
                plain_new(&plain, sizes[i]);
                snprintf(name, sizeof(name), "%zu counters, 2 labels", sizes[i]);
                bench_formats(name, r, best_plain_ms(&plain));
                plain_free(&plain);
                prom_registry_free(r);
        }
        struct prom_registry *r = registry_with(PROM_HISTOGRAM, 1000);
        bench_formats("1000 histograms of 14 lines", r, 0);
        prom_registry_free(r);
}

int main(void)
{
        static const char *const labels[] = {"method", "status", NULL};
        const struct prom_desc descs[] = {
                {.kind = PROM_COUNTER, .name = "hot_total", .help = "h"},
                {.kind = PROM_COUNTER, .name = "vector_total", .help = "h", .labels = labels},
                {.kind = PROM_GAUGE, .name = "level", .help = "h"},
                {.kind = PROM_HISTOGRAM, .name = "latency_seconds", .help = "h"},
        };
        struct prom_family *families[4];
        if (prom_register_all(prom_default_registry(), descs, 4, families, NULL) < 0)
                return 1;
        counter = prom_counter_with(families[0]);
        vector = families[1];
        gauge = prom_gauge_with(families[2]);
        histogram = prom_histogram_with(families[3]);
        bench_updates();
        bench_scrapes();
        return 0;
}
