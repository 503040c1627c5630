/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of `make bench-prom`: the least work that could count exactly these metrics, written by
 * hand. Counters and histograms are thread-local memory with plain loads and stores; a gauge is one
 * shared word. A look-up compares the label values with the previous ones, or searches a small
 * thread-local table. A scrape copies prepared lines and writes digits after them.
 */
#include "harness.h"

#include <emmintrin.h>
#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

#define LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

enum {
        N_BOUNDS = 11,
        N_LINES = N_BOUNDS + 3,
        TABLE = 64,          /* slots of a thread; more than there are combinations */
        NATIVE_SCHEMA = 3,   /* for a factor of 1.1 */
        NATIVE_OCTAVES = 64, /* 2^-32 to 2^32 */
        NATIVE_GUESSES = 64,
        LINE = 80,
};

static const double bounds[N_BOUNDS + 1] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                            0.5,   1,    2.5,   5,    10,  INFINITY};
static const char *const les[N_BOUNDS + 1] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                              "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};

struct histogram {
        uint64_t sequence;
        double sum;
        uint64_t buckets[N_BOUNDS + 1];
};

struct found {
        __m128i method, status;
        uint64_t count;
};

static __thread struct own {
        uint64_t counter;
        struct found last;
        struct found table[TABLE];
        struct histogram histogram;
        struct {
                uint64_t sequence;
                double sum;
                uint64_t buckets[NATIVE_OCTAVES << NATIVE_SCHEMA];
        } native;
} own __attribute__((aligned(64)));

/* ---- updates ------------------------------------------------------------------------------- */

static uint64_t gauge __attribute__((aligned(64)));

static inline void add_one(uint64_t *cell)
{
        STORE(cell, LOAD(cell) + 1);
}

/* A short value as one word of 16 bytes, filled up with zeros. Reads past the end of the value, but
 * never into another page. */
#ifdef __SANITIZE_ADDRESS__
static inline __m128i block_of(const char *s)
{
        char block[16] = "";
        strncpy(block, s, sizeof(block) - 1);
        return _mm_loadu_si128((const __m128i *)block);
}
#else
static inline __m128i block_of(const char *s)
{
        static const uint8_t ones_then_zeros[32] = {[0 ... 15] = 0xff};
        if (((uintptr_t)s & 4095) > 4096 - 16)
                errx(1, "a value lies at the end of a page");
        const __m128i block = _mm_loadu_si128((const __m128i *)s);
        const unsigned zeros =
                (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_setzero_si128()));
        const unsigned len = (unsigned)__builtin_ctz(zeros | 1 << 15);
        return _mm_and_si128(block, _mm_loadu_si128((const __m128i *)(ones_then_zeros + 16 - len)));
}
#endif

static inline bool same(const struct found *found, __m128i method, __m128i status)
{
        return _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(found->method, method),
                                               _mm_cmpeq_epi8(found->status, status))) == 0xffff;
}

/* The same values every time; the asm hides them from the compiler, as a library call would. */
static inline void look_up_same(void)
{
        const char *method = "GET", *status = "200";
        __asm__("" : "+r"(method), "+r"(status));
        const __m128i m = block_of(method), s = block_of(status);
        if (!same(&own.last, m, s)) {
                own.last.method = m;
                own.last.status = s;
        }
        add_one(&own.last.count);
}

static inline void look_up_in_table(const char *method, const char *status)
{
        const __m128i m = block_of(method), s = block_of(status);
        const uint64_t words = (uint64_t)_mm_cvtsi128_si64(m) * UINT64_C(0x9e3779b97f4a7c15) ^
                               (uint64_t)_mm_cvtsi128_si64(s);
        for (uint64_t i = words * UINT64_C(0xd1b54a32d192ed03) >> 58;; i++) {
                struct found *found = &own.table[i % TABLE];
                if (found->count == 0) {
                        found->method = m;
                        found->status = s;
                }
                if (same(found, m, s)) {
                        add_one(&found->count);
                        return;
                }
        }
}

static inline void set(double v)
{
        uint64_t bits;
        memcpy(&bits, &v, sizeof(bits));
        STORE(&gauge, bits);
}

static inline void add(double n)
{
        uint64_t old = LOAD(&gauge), new;
        double v;
        do {
                memcpy(&v, &old, sizeof(v));
                v += n;
                memcpy(&new, &v, sizeof(new));
        } while (!__atomic_compare_exchange_n(&gauge, &old, new, true, __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED));
}

typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_mask __attribute__((vector_size(16)));

static inline size_t bucket_of(double v)
{
        const pair wanted = {v, v};
        pair_mask below = {0, 0};
        for (size_t i = 0; i < N_BOUNDS + 1; i += 2)
                below += (pair){bounds[i], bounds[i + 1]} < wanted;
        return (size_t) - (below[0] + below[1]);
}

static inline void observe_in(struct histogram *h, double v)
{
        uint64_t *bucket = &h->buckets[bucket_of(v)];
        STORE(&h->sequence, h->sequence + 1);
        h->sum += v;
        STORE_RELEASE(bucket, *bucket + 1);
        STORE_RELEASE(&h->sequence, h->sequence + 1);
}

/* Upper bounds of the buckets of an octave; and for the upper bits of a mantissa, how many bounds
 * are below all doubles with these bits. */
static double native_bounds[(1 << NATIVE_SCHEMA) + 1];
static uint8_t native_guess[NATIVE_GUESSES];

static void fill_native(void)
{
        for (int i = 0; i < 1 << NATIVE_SCHEMA; i++)
                native_bounds[i] = exp2((double)i / (1 << NATIVE_SCHEMA));
        native_bounds[1 << NATIVE_SCHEMA] = INFINITY;
        for (int i = 0; i < NATIVE_GUESSES; i++)
                while (native_bounds[native_guess[i]] < 1 + (double)i / NATIVE_GUESSES)
                        native_guess[i]++;
}

static inline void observe_native(double v)
{
        uint64_t bits, mantissa_bits;
        double mantissa;
        memcpy(&bits, &v, sizeof(bits));
        mantissa_bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
        memcpy(&mantissa, &mantissa_bits, sizeof(mantissa));
        size_t octave = ((bits >> 52) - 1023 + NATIVE_OCTAVES / 2) % NATIVE_OCTAVES;
        size_t in_octave = native_guess[bits >> 46 & (NATIVE_GUESSES - 1)];
        in_octave += native_bounds[in_octave] < mantissa;
        uint64_t *bucket = &own.native.buckets[(octave << NATIVE_SCHEMA) + in_octave];
        STORE(&own.native.sequence, own.native.sequence + 1);
        own.native.sum += v;
        STORE_RELEASE(bucket, *bucket + 1);
        STORE_RELEASE(&own.native.sequence, own.native.sequence + 1);
}

/* Sums of the threads that have ended. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct all {
        uint64_t counter, found, observed, sparse;
        double sum, sparse_sum;
} all;

static void leave(void)
{
        pthread_mutex_lock(&all_lock);
        all.counter += own.counter;
        all.found += own.last.count;
        for (size_t i = 0; i < TABLE; i++)
                all.found += own.table[i].count;
        for (size_t i = 0; i <= N_BOUNDS; i++)
                all.observed += own.histogram.buckets[i];
        for (size_t i = 0; i < NATIVE_OCTAVES << NATIVE_SCHEMA; i++)
                all.sparse += own.native.buckets[i];
        all.sum += own.histogram.sum;
        all.sparse_sum += own.native.sum;
        pthread_mutex_unlock(&all_lock);
}

#define FLOOR_LOOP(name, operation)                                                                \
        BENCH_LOOP(name##_loop, , operation)                                                       \
        static void name(long count)                                                               \
        {                                                                                          \
                name##_loop(count);                                                                \
                leave();                                                                           \
        }

FLOOR_LOOP(count_up, add_one(&own.counter))
FLOOR_LOOP(look_up, look_up_same())
FLOOR_LOOP(look_up_in_turn, look_up_in_table(bench_methods[i % 4], bench_statuses[i / 4 % 4]))
FLOOR_LOOP(look_up_copies, look_up_in_table(bench_copies[i % BENCH_COPIES].method,
                                            bench_copies[i % BENCH_COPIES].status))
FLOOR_LOOP(count_retained, add_one(&own.table[i % 16].count))
FLOOR_LOOP(set_gauge, set((double)i))
FLOOR_LOOP(add_gauge, add(1))
FLOOR_LOOP(observe, observe_in(&own.histogram, bench_values[i % BENCH_VALUES]))
FLOOR_LOOP(observe_sparse, observe_native(bench_values[i % BENCH_VALUES]))

static struct bench_body expose(void)
{
        static char text[1024];
        double v;
        memcpy(&v, &gauge, sizeof(v));
        int n = snprintf(
                text, sizeof(text),
                "bench_total %" PRIu64 "\nbench_found_total %" PRIu64
                "\nbench_level %.17g\nbench_seconds_sum %.17g\nbench_seconds_count %" PRIu64
                "\nbench_sparse_seconds_sum %.17g\nbench_sparse_seconds_count %" PRIu64 "\n",
                all.counter, all.found, v, all.sum, all.observed, all.sparse_sum, all.sparse);
        return (struct bench_body){text, (size_t)n};
}

/* ---- scrapes ------------------------------------------------------------------------------- */

/* The lines of all series without their numbers, and the numbers of all threads. */
static struct {
        size_t n;
        size_t words; /* numbers of a series */
        char (*lines)[LINE];
        uint8_t *lens;
        char *out;
} plain;

static uint64_t *slabs[BENCH_THREADS_MAX];
static size_t n_slabs;
static __thread uint64_t *slab;

static uint64_t *own_slab(void)
{
        if (slab)
                return slab;
        slab = calloc(plain.n * plain.words, sizeof(*slab));
        if (!slab)
                errx(1, "no memory");
        slabs[__atomic_fetch_add(&n_slabs, 1, __ATOMIC_SEQ_CST)] = slab;
        return slab;
}

static void make(size_t n, size_t lines, size_t words)
{
        plain.n = n;
        plain.words = words;
        plain.lines = calloc(n * lines, sizeof(*plain.lines));
        plain.lens = calloc(n * lines, 1);
        plain.out = malloc(n * lines * (LINE + 32) + LINE);
        if (!plain.lines || !plain.lens || !plain.out)
                errx(1, "no memory");
}

static inline char *put_digits(char *out, uint64_t v)
{
        static const char pairs[201] =
                "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                "8081828384858687888990919293949596979899";
        char digits[24], *d = digits + sizeof(digits);
        for (; v >= 10; v /= 100)
                memcpy(d -= 2, pairs + v % 100 * 2, 2);
        if (v || d == digits + sizeof(digits))
                *--d = (char)('0' + v);
        const size_t n = (size_t)(digits + sizeof(digits) - d);
        memcpy(out, d, n);
        return out + n;
}

static inline char *put_line(char *out, size_t line, uint64_t v)
{
        memcpy(out, plain.lines[line], LINE);
        out = put_digits(out + plain.lens[line], v);
        *out++ = '\n';
        return out;
}

static void make_counters(size_t n)
{
        make(n, 1, 1);
        for (size_t i = 0; i < n; i++) {
                plain.lens[i] = (uint8_t)snprintf(
                        plain.lines[i], LINE,
                        "bench_scraped_total{method=\"GET\",path=\"/api/%zu\"} ", i);
                own_slab()[i] = i * BENCH_STEP;
        }
}

static void touch_counters(void)
{
        uint64_t *cells = own_slab();
        for (size_t i = 0; i < plain.n; i++)
                add_one(&cells[i]);
}

static struct bench_body scrape_counters(void)
{
        char *out = plain.out;
        for (size_t i = 0; i < plain.n; i++) {
                uint64_t v = 0;
                for (size_t s = 0; s < n_slabs; s++)
                        v += LOAD(&slabs[s][i]);
                out = put_line(out, i, v);
        }
        return (struct bench_body){plain.out, (size_t)(out - plain.out)};
}

static void make_histograms(size_t n)
{
        make(n, N_LINES, sizeof(struct histogram) / sizeof(uint64_t));
        struct histogram *h = (struct histogram *)own_slab();
        for (size_t i = 0; i < n; i++) {
                for (size_t l = 0; l < N_LINES; l++) {
                        const char *suffix = l == N_BOUNDS + 1 ? "sum" : "count";
                        char *line = plain.lines[i * N_LINES + l];
                        int len = l <= N_BOUNDS
                                          ? snprintf(line, LINE,
                                                     "bench_scraped_seconds_bucket{method=\"GET\","
                                                     "path=\"/api/%zu\",le=\"%s\"} ",
                                                     i, les[l])
                                          : snprintf(line, LINE,
                                                     "bench_scraped_seconds_%s{method=\"GET\","
                                                     "path=\"/api/%zu\"} ",
                                                     suffix, i);
                        plain.lens[i * N_LINES + l] = (uint8_t)len;
                }
                for (size_t j = 0; j < BENCH_FIRST_VALUES; j++)
                        observe_in(&h[i], bench_values[(i + j) % BENCH_VALUES]);
        }
}

static void touch_histograms(void)
{
        struct histogram *h = (struct histogram *)own_slab();
        for (size_t i = 0; i < plain.n; i++)
                observe_in(&h[i], bench_values[i % BENCH_VALUES]);
}

/* All sums are multiples of 2^-12. */
static char *put_sum(char *out, size_t line, double sum)
{
        const uint64_t whole = (uint64_t)sum;
        const uint64_t rest = (uint64_t)((sum - (double)whole) * 4096) * 244140625;
        out = put_line(out, line, whole);
        out[-1] = '.';
        char *end = put_digits(out, rest + UINT64_C(1000000000000));
        memmove(out, out + 1, 12);
        end[-1] = '\n';
        return end;
}

static struct bench_body scrape_histograms(void)
{
        char *out = plain.out;
        for (size_t i = 0; i < plain.n; i++) {
                uint64_t buckets[N_BOUNDS + 1] = {0}, count = 0;
                double sum = 0;
                for (size_t s = 0; s < n_slabs; s++) {
                        const struct histogram *h = (const struct histogram *)slabs[s] + i;
                        for (size_t b = 0; b <= N_BOUNDS; b++)
                                buckets[b] += LOAD(&h->buckets[b]);
                        sum += h->sum;
                }
                for (size_t b = 0; b <= N_BOUNDS; b++)
                        out = put_line(out, i * N_LINES + b, count += buckets[b]);
                out = put_sum(out, i * N_LINES + N_BOUNDS + 1, sum);
                out = put_line(out, i * N_LINES + N_BOUNDS + 2, count);
        }
        return (struct bench_body){plain.out, (size_t)(out - plain.out)};
}

#ifdef HAVE_ISAL
static struct bench_body scrape_gzip(void)
{
        static struct isal_zstream stream;
        static uint8_t *level_buf, *packed;
        const struct bench_body body = scrape_counters();
        if (!packed) {
                packed = malloc(body.len + 4096);
                level_buf = malloc(ISAL_DEF_LVL1_DEFAULT);
        }
        if (!packed || !level_buf)
                errx(1, "no memory");
        isal_deflate_stateless_init(&stream);
        stream.level = 1;
        stream.level_buf = level_buf;
        stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
        stream.gzip_flag = IGZIP_GZIP;
        stream.end_of_stream = 1;
        stream.next_in = (uint8_t *)(uintptr_t)body.data;
        stream.avail_in = (uint32_t)body.len;
        stream.next_out = packed;
        stream.avail_out = (uint32_t)body.len + 4096;
        if (isal_deflate_stateless(&stream) != COMP_OK)
                errx(1, "compression failed");
        return (struct bench_body){(char *)packed, stream.total_out};
}
#endif

int main(int argc, char **argv)
{
        static const struct bench_update updates[] = {
                {"counter", count_up},
                {"lookup", look_up},
                {"lookup-in-turn", look_up_in_turn},
                {"lookup-copies", look_up_copies},
                {"retained", count_retained},
                {"counter-local", count_up},
                {"histogram-local", observe},
                {"gauge-set", set_gauge},
                {"gauge-add", add_gauge},
                {"histogram", observe},
                {"native", observe_sparse},
                {NULL, NULL},
        };
        static const struct bench_scrape scrapes[] = {
                {"scrape-counters", make_counters, touch_counters, scrape_counters},
                {"scrape-histograms", make_histograms, touch_histograms, scrape_histograms},
#ifdef HAVE_ISAL
                {"scrape-gzip", make_counters, touch_counters, scrape_gzip},
#endif
                {NULL, NULL, NULL, NULL},
        };
        const struct bench_peer peer = {"written by hand (gcc " __VERSION__ ")", updates, scrapes,
                                        expose};
        fill_native();
        return bench_main(argc, argv, &peer);
}
