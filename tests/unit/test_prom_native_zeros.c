/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of a native histogram: which buckets become zeros, and the resolution of the rest. */
#include "prom/native.h"
#include "prom_fixture.h"

#include <math.h>

enum { BUCKETS_MAX = 4096, THREADS = 4 /* at most the number of locked slabs */, CASES = 300 };

static uint64_t random_bits(void)
{
        static uint64_t x = 88172645463325252; /* Marsaglia, "Xorshift RNGs" (2003) */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        return x;
}

/* 0 to 1 */
static double random_part(void)
{
        return (double)(random_bits() >> 11) * 0x1p-53;
}

/* With an exponent from -spread/2 to spread/2. */
static double random_power(double spread)
{
        const double exponent = (random_part() - 0.5) * spread;
        return prom_native_bound_((int32_t)(exponent * 256), 8) * (1 - random_part() / 512);
}

/* ---- a model: bucket by bucket ------------------------------------------------------------ */

struct bucket {
        int32_t index;
        bool negative;
        uint64_t count;
};

static struct {
        struct bucket buckets[BUCKETS_MAX];
        size_t n;
        int schema;
        double threshold;
        uint64_t zeros;
} model;

static void model_add(int32_t index, bool negative, uint64_t count)
{
        size_t i = 0;
        while (i < model.n &&
               (model.buckets[i].index != index || model.buckets[i].negative != negative))
                i++;
        if (i == model.n)
                model.buckets[model.n++] = (struct bucket){index, negative, 0};
        model.buckets[i].count += count;
}

static void model_observe(double v)
{
        const unsigned coarser = (unsigned)(NATIVE_SCHEMA_MAX - model.schema);
        if (fabs(v) <= model.threshold)
                model.zeros++;
        else
                model_add(native_coarser(prom_native_index_(v), coarser), v < 0, 1);
}

static bool model_widen(double max_threshold)
{
        int32_t smallest = INT32_MAX;
        for (size_t i = 0; i < model.n; i++)
                if (model.buckets[i].index < smallest)
                        smallest = model.buckets[i].index;
        const double threshold = prom_native_bound_(smallest, model.schema);
        if (model.threshold >= max_threshold || threshold > max_threshold)
                return false;
        for (size_t i = 0; i < model.n;) {
                if (model.buckets[i].index != smallest) {
                        i++;
                        continue;
                }
                model.zeros += model.buckets[i].count;
                model.buckets[i] = model.buckets[--model.n];
        }
        if (threshold > model.threshold)
                model.threshold = threshold;
        return true;
}

static bool model_halve(void)
{
        static struct bucket old[BUCKETS_MAX];
        const size_t n = model.n;
        if (model.schema == NATIVE_SCHEMA_MIN)
                return false;
        memcpy(old, model.buckets, n * sizeof(old[0]));
        model.schema--;
        model.n = 0;
        for (size_t i = 0; i < n; i++)
                model_add(native_coarser(old[i].index, 1), old[i].negative, old[i].count);
        return true;
}

static void check_bucket(const struct prom_native_bucket *bucket, bool negative)
{
        for (size_t i = 0; i < model.n; i++) {
                if (model.buckets[i].index != bucket->index ||
                    model.buckets[i].negative != negative)
                        continue;
                assert_int_equal(model.buckets[i].count, bucket->count);
                return;
        }
        fail_msg("a bucket %d too many", (int)bucket->index);
}

/* ---- the histogram ------------------------------------------------------------------------ */

struct values {
        struct prom_histogram *histogram;
        double v[PROM_NATIVE_BUCKETS_MAX];
        size_t n;
};

static void *observe(void *data)
{
        const struct values *values = data;
        for (size_t i = 0; i < values->n; i++)
                prom_histogram_observe(values->histogram, values->v[i]);
        return NULL;
}

/* Some threads, each with no more buckets than there may be and a slab of its own, so that only the
 * sum is beyond. */
static void observe_in_threads(struct prom_histogram *histogram, size_t most, double spread,
                               bool negative)
{
        for (int t = 0; t < THREADS; t++) {
                static struct values values;
                pthread_t thread;
                values.histogram = histogram;
                values.n = most;
                for (size_t i = 0; i < most; i++) {
                        values.v[i] = random_power(spread);
                        if (negative && random_bits() & 1)
                                values.v[i] = -values.v[i];
                        model_observe(values.v[i]);
                }
                assert_int_equal(pthread_create(&thread, NULL, observe, &values), 0);
                assert_int_equal(pthread_join(thread, NULL), 0);
        }
}

static void check(const struct prom_histogram *histogram)
{
        static struct prom_native_snapshot s;
        assert_int_equal(prom_histogram_native_snapshot(histogram, &s), 0);
        assert_int_equal(s.schema, model.schema);
        assert_true(s.zero_threshold == model.threshold);
        assert_int_equal(s.zero_count, model.zeros);
        assert_int_equal(s.n_positive + s.n_negative, model.n);
        for (size_t i = 0; i < model.n; i++) {
                check_bucket(&s.buckets[i], i >= s.n_positive);
                if (i && i != s.n_positive)
                        assert_true(s.buckets[i - 1].index < s.buckets[i].index);
        }
}

static void zeros_are_widened_as_bucket_by_bucket(void **state)
{
        prom_percpu_.usable = false;
        size_t widened = 0, both = 0;
        for (int i = 0; i < CASES; i++) {
                const size_t most = 2 + random_bits() % 60;
                const double spread = (double)(1 << random_bits() % 9); /* range of the exponents */
                const double max_threshold = i % 5 ? random_power(spread) : 0;
                char name[16];
                snprintf(name, sizeof(name), "h%d", i);
                struct prom_family *f = add((struct prom_desc){
                        .kind = PROM_HISTOGRAM,
                        .name = name,
                        .native_factor = (double[]){1.003, 1.01, 1.1, 1.5, 2}[random_bits() % 5],
                        .native_max_buckets = most,
                        .native_zero_threshold = i % 3 ? 0 : random_power(spread),
                        .native_max_zero_threshold = max_threshold});
                model.n = 0;
                model.zeros = 0;
                model.schema = f->limits.schema;
                model.threshold = f->limits.zero_threshold;
                const int schema = model.schema;
                const double threshold = model.threshold;
                observe_in_threads(prom_histogram_with(f), most, spread, i % 2);
                while (model.n > most && (model_widen(max_threshold) || model_halve()))
                        ;
                check(prom_histogram_with(f));
                widened += model.threshold > threshold;
                both += model.threshold > threshold && model.schema < schema;
        }
        assert_true(widened > CASES / 4 && both > CASES / 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(zeros_are_widened_as_bucket_by_bucket, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
