/* SPDX-License-Identifier: Apache-2.0 */
/* Cells are allocated, freed, and allocated in other lengths. */
#include "prom/cells.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WIDEST = SERIES_CELLS_MAX, NARROWEST = 4, BLOCKS = 4000, STEPS = 200000 };

struct block {
        uint32_t cell;
        unsigned n; /* 0: not allocated */
};

static uint8_t taken[PROM_CELLS_MAX];

/* Marks or unmarks the cells of a block, all of which must be in the other state. */
static void mark(const struct block *block, bool now)
{
        const unsigned apart = block->n == COUNTER_WORDS ? COUNTER_APART : 1;
        for (unsigned i = 0; i < block->n; i++) {
                assert_int_equal(taken[block->cell + i * apart], !now);
                taken[block->cell + i * apart] = now;
        }
}

static int take(unsigned n, struct block *ret)
{
        struct block block = {.n = n};
        pthread_mutex_lock(&prom_table_lock_);
        int r = prom_cells_alloc_(n, &block.cell);
        pthread_mutex_unlock(&prom_table_lock_);
        if (r < 0)
                return r;
        assert_true(block.cell + n <= PROM_CELLS_MAX);
        if (n != COUNTER_WORDS)
                assert_int_equal(block.cell / CHUNK_WORDS, (block.cell + n - 1) / CHUNK_WORDS);
        assert_true(n == COUNTER_WORDS || block.cell % 2 == 0);
        mark(&block, true);
        *ret = block;
        return 0;
}

static void give_back(struct block *block)
{
        pthread_mutex_lock(&prom_table_lock_);
        prom_cells_free_(block->cell, block->n);
        pthread_mutex_unlock(&prom_table_lock_);
        mark(block, false);
        block->n = 0;
}

/* Allocates blocks until no cells are left. Returns their number. */
static size_t take_all(unsigned n, struct block *blocks)
{
        size_t i = 0;
        while (take(n, &blocks[i]) == 0)
                i++;
        return i;
}

static void give_all_back(struct block *blocks, size_t n)
{
        for (size_t i = 0; i < n; i++)
                give_back(&blocks[i]);
}

static void freed_cells_serve_other_lengths(void **state)
{
        struct block *wide = calloc(PROM_CELLS_MAX / WIDEST + 1, sizeof(*wide));
        struct block *narrow = calloc(PROM_CELLS_MAX / NARROWEST + 1, sizeof(*narrow));
        assert_true(wide && narrow);
        const size_t n_wide = take_all(WIDEST, wide);
        assert_in_range(n_wide, PROM_CELLS_MAX / CHUNK_WORDS - 2, PROM_CELLS_MAX / CHUNK_WORDS);
        const size_t n_gaps = take_all(NARROWEST, narrow); /* the rest of each chunk after the
                                                              wide ones */
        assert_true(n_gaps >= PROM_CELLS_MAX / CHUNK_WORDS * 2);
        give_back(&wide[n_wide / 2]);
        const size_t n_again = take_all(NARROWEST, narrow + n_gaps); /* and the rest of the gap */
        assert_in_range(n_again, WIDEST / NARROWEST, WIDEST / NARROWEST + 1);
        give_all_back(narrow + n_gaps, n_again);
        assert_int_equal(take_all(WIDEST, &wide[n_wide / 2]), 1);

        give_all_back(narrow, n_gaps);
        give_all_back(wide, n_wide);
        const size_t n_narrow = take_all(NARROWEST, narrow);
        assert_true(n_narrow > PROM_CELLS_MAX / CHUNK_WORDS * (CHUNK_WORDS / NARROWEST) - 100);
        for (size_t i = 0; i < n_narrow; i += 3)
                give_back(&narrow[i]);
        assert_int_equal(take_all(WIDEST, wide), 0);
        for (size_t i = 0; i < n_narrow; i++)
                if (narrow[i].n)
                        give_back(&narrow[i]);
        assert_int_equal(take_all(WIDEST, wide), n_wide);
        give_all_back(wide, n_wide);
        free(wide);
        free(narrow);
}

/* Counters get pairs of chunks, which later serve other lengths. */
static void both_words_of_a_counter_are_found(void **state)
{
        struct block *blocks = calloc(PROM_CELLS_MAX, sizeof(*blocks));
        struct block wide[16];
        assert_non_null(blocks);
        for (int round = 0; round < 2; round++) {
                const size_t n = take_all(COUNTER_WORDS, blocks);
                assert_in_range(n, PROM_CELLS_MAX / 2 - 2 * CHUNK_WORDS, PROM_CELLS_MAX / 2);
                for (size_t i = 1; i < CHUNK_WORDS / 2; i++)
                        assert_int_equal(blocks[i].cell, blocks[0].cell + i);
                for (size_t i = 0; i < n; i += 2)
                        give_back(&blocks[i]);
                const size_t n_wide = take_all(WIDEST, wide);
                assert_in_range(n_wide, 0, 4); /* in the first and the last chunk */
                give_all_back(wide, n_wide);
                assert_int_equal(take_all(COUNTER_WORDS, blocks + n), (n + 1) / 2);
                for (size_t i = 0; i < n + (n + 1) / 2; i++)
                        if (blocks[i].n)
                                give_back(&blocks[i]);
                for (size_t i = 0; i < 1000; i++)
                        assert_int_equal(take(WIDEST, &blocks[i]), 0);
                give_all_back(blocks, 1000);
        }
        free(blocks);
}

static void random_allocations_never_overlap(void **state)
{
        static struct block blocks[BLOCKS];
        uint64_t x = 88172645463325252; /* Marsaglia, "Xorshift RNGs" (2003) */
        for (int i = 0; i < STEPS; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                struct block *block = &blocks[(x >> 20) % (i < STEPS / 2 ? BLOCKS : BLOCKS / 8)];
                if (block->n)
                        give_back(block);
                else
                        assert_int_equal(
                                take(x & 1 ? COUNTER_WORDS
                                           : 2 + ((unsigned)(x >> 40) % (WIDEST - 1) & ~1U),
                                     block),
                                0);
        }
        for (int i = 0; i < BLOCKS; i++)
                if (blocks[i].n)
                        give_back(&blocks[i]);
}

/* ---- threads that exit -------------------------------------------------------------------- */

enum { COUNTERS = 5000, THREADS = 40 };

static struct prom_counter *counters[COUNTERS];
static struct prom_histogram *histogram;

static void *count_here_and_there(void *data)
{
        const size_t step = (size_t)(uintptr_t)data;
        for (size_t i = step; i < COUNTERS; i += step * step)
                prom_counter_add(counters[i], i % 2 ? 0.5 : 2);
        prom_histogram_observe(histogram, (double)step);
        return NULL;
}

static void exiting_threads_leave_all_counts_behind(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_family *families[2];
        static double expected[COUNTERS];
        assert_int_equal(
                prom_register_all(
                        registry,
                        (struct prom_desc[]){{.kind = PROM_COUNTER,
                                              .name = "c_total",
                                              .help = "h",
                                              .labels = (const char *const[]){"i", NULL},
                                              .max_series = COUNTERS},
                                             {.kind = PROM_HISTOGRAM, .name = "h", .help = "h"}},
                        2, families, NULL),
                0);
        for (int i = 0; i < COUNTERS; i++) {
                char value[16];
                snprintf(value, sizeof(value), "%d", i);
                counters[i] = prom_counter_with(families[0], value);
        }
        histogram = prom_histogram_with(families[1]);
        for (size_t step = 2; step < THREADS + 2; step++) {
                pthread_t thread;
                assert_int_equal(pthread_create(&thread, NULL, count_here_and_there,
                                                (void *)(uintptr_t)step),
                                 0);
                assert_int_equal(pthread_join(thread, NULL), 0);
                for (size_t i = step; i < COUNTERS; i += step * step)
                        expected[i] += i % 2 ? 0.5 : 2;
        }
        for (int i = 0; i < COUNTERS; i++)
                assert_true(prom_counter_value(counters[i]) == expected[i]);
        struct prom_snapshot snapshot;
        prom_histogram_snapshot(histogram, &snapshot);
        assert_int_equal(snapshot.count, THREADS);
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(freed_cells_serve_other_lengths),
                cmocka_unit_test(both_words_of_a_counter_are_found),
                cmocka_unit_test(random_allocations_never_overlap),
                cmocka_unit_test(exiting_threads_leave_all_counts_behind),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
