/* SPDX-License-Identifier: Apache-2.0 */
/* Cells, the slabs of the threads, and adding them up. */
#include "prom/internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
        QUICK_TRIES = 8,       /* reads of a histogram before its thread is held off, */
        YIELDING_TRIES = 100,  /* and after, giving way to the thread in between, */
        SLEEPING_TRIES = 2000, /* and, should it have been preempted, sleeping in between */
        SLEEP_NS = 100000,
};

struct chunk {
        struct chunk *next;
        uint32_t number;
        uint64_t words[PROM_CHUNK_WORDS_] __attribute__((aligned(64)));
};

/* What a slab knows a chunk by. `visible` is what its thread sees: a scrape may take a chunk away
 * for a moment, and the thread then comes to prom_cell_slow_() and waits for slab_lock there. */
struct directory {
        uint64_t *visible[CHUNKS_MAX];
        uint64_t *real[CHUNKS_MAX];
};

struct slab {
        struct directory *dir;
        struct chunk *chunks;
        bool orphaned; /* its thread was left behind by fork(), perhaps in mid-update */
        struct slab *next;
        struct slab **link; /* what points here */
};

pthread_mutex_t prom_slab_lock_ = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t prom_table_lock_ = PTHREAD_MUTEX_INITIALIZER;
uint64_t prom_lost_updates_;

/* All of it zero, so a thread without a slab finds no chunk and the pages are never touched. */
static uint64_t *no_chunks[CHUNKS_MAX];
__thread uint64_t **prom_chunks_ = no_chunks;
static __thread struct slab *own_slab;

/* Under slab_lock. */
static struct directory base_directory;
static struct slab base = {.dir = &base_directory};
static struct slab *slabs = &base;
static uint64_t lost_chunk[PROM_CHUNK_WORDS_];

/* Under table_lock. */
static uint32_t next_cell;
static uint64_t float_cells[PROM_CELLS_MAX / 64];
static struct free_cells {
        uint32_t *cells;
        size_t n;
        size_t cap;
} free_cells[PROM_CHUNK_WORDS_ + 1]; /* by number of words */

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static bool exit_key_made;

static inline bool is_float(uint32_t cell)
{
        return float_cells[cell / 64] >> (cell % 64) & 1;
}

/* ---- threads come and go ----------------------------------------------------------------- */

static void fold_chunk(struct chunk *chunk)
{
        uint64_t *sums = base.dir->real[chunk->number];
        if (!sums) { /* nothing to add to: it becomes the base's own */
                base.dir->real[chunk->number] = chunk->words;
                chunk->next = base.chunks;
                base.chunks = chunk;
                return;
        }
        for (uint32_t i = 0; i < PROM_CHUNK_WORDS_; i++) {
                uint64_t word = LOAD(&chunk->words[i]);
                if (!word)
                        continue;
                uint64_t sum = LOAD(&sums[i]);
                if (is_float(chunk->number * PROM_CHUNK_WORDS_ + i))
                        sum = bits_of(double_of(sum) + double_of(word));
                else
                        sum += word;
                STORE(&sums[i], sum);
        }
        free(chunk);
}

static void thread_exits(void *p)
{
        struct slab *slab = p;
        pthread_mutex_lock(&prom_table_lock_); /* for float_cells */
        pthread_mutex_lock(&prom_slab_lock_);
        *slab->link = slab->next;
        if (slab->next)
                slab->next->link = slab->link;
        for (struct chunk *chunk = slab->chunks, *next; chunk; chunk = next) {
                next = chunk->next;
                fold_chunk(chunk);
        }
        pthread_mutex_unlock(&prom_slab_lock_);
        pthread_mutex_unlock(&prom_table_lock_);
        /* Should another destructor of this thread still count something, it gets a new slab, and
         * this function runs again. */
        prom_chunks_ = no_chunks;
        own_slab = NULL;
        munmap(slab->dir, sizeof(*slab->dir));
        free(slab);
}

static void make_exit_key(void)
{
        exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
}

static struct slab *slab_new(void)
{
        struct slab *slab = calloc(1, sizeof(*slab));
        if (!slab)
                return NULL;
        slab->dir = mmap(NULL, sizeof(*slab->dir), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (slab->dir == MAP_FAILED) {
                free(slab);
                return NULL;
        }
        pthread_once(&exit_once, make_exit_key);
        /* Without a key the slab stays in the list for ever: sums stay right, memory is lost. */
        if (exit_key_made)
                pthread_setspecific(exit_key, slab);
        return slab;
}

static uint64_t *chunk_of(struct slab *slab, uint32_t number)
{
        if (!slab->dir->real[number]) {
                struct chunk *chunk = aligned_alloc(64, sizeof(*chunk));
                if (!chunk)
                        return NULL;
                memset(chunk, 0, sizeof(*chunk));
                chunk->number = number;
                chunk->next = slab->chunks;
                slab->chunks = chunk;
                slab->dir->real[number] = chunk->words;
        }
        return slab->dir->real[number];
}

uint64_t *prom_cell_slow_(uint32_t cell)
{
        struct slab *slab = own_slab ? own_slab : slab_new();
        uint64_t *words = NULL;
        if (slab) {
                pthread_mutex_lock(&prom_slab_lock_);
                if (slab != own_slab) {
                        slab->next = base.next;
                        slab->link = &base.next;
                        if (slab->next)
                                slab->next->link = &slab->next;
                        base.next = slab;
                        own_slab = slab;
                        prom_chunks_ = slab->dir->visible;
                }
                words = chunk_of(slab, cell >> PROM_CHUNK_SHIFT_);
                STORE(&slab->dir->visible[cell >> PROM_CHUNK_SHIFT_], words);
                pthread_mutex_unlock(&prom_slab_lock_);
        }
        if (!words) {
                COUNT(&prom_lost_updates_, 1);
                words = lost_chunk;
        }
        return words + (cell & (PROM_CHUNK_WORDS_ - 1));
}

void prom_after_fork_(void)
{
        for (struct slab *slab = base.next; slab; slab = slab->next)
                slab->orphaned = slab != own_slab;
}

/* ---- numbers of cells --------------------------------------------------------------------- */

int prom_cells_alloc_(unsigned n, unsigned float_cell, uint32_t *ret_cell)
{
        uint32_t cell;
        if (free_cells[n].n > 0) {
                cell = free_cells[n].cells[--free_cells[n].n];
        } else {
                if ((next_cell & (PROM_CHUNK_WORDS_ - 1)) + n > PROM_CHUNK_WORDS_)
                        next_cell = (next_cell | (PROM_CHUNK_WORDS_ - 1)) + 1;
                if (next_cell > PROM_CELLS_MAX - n)
                        return -ENOSPC;
                cell = next_cell;
                next_cell += n;
        }
        uint32_t at = cell + float_cell;
        float_cells[at / 64] |= UINT64_C(1) << (at % 64);
        *ret_cell = cell;
        return 0;
}

void prom_cells_free_(uint32_t cell, unsigned n, unsigned float_cell)
{
        uint32_t at = cell + float_cell;
        struct free_cells *list = &free_cells[n];
        pthread_mutex_lock(&prom_slab_lock_);
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                uint64_t *words = slab->dir->real[cell >> PROM_CHUNK_SHIFT_];
                for (unsigned i = 0; words && i < n; i++)
                        STORE(&words[(cell & (PROM_CHUNK_WORDS_ - 1)) + i], 0);
        }
        pthread_mutex_unlock(&prom_slab_lock_);
        float_cells[at / 64] &= ~(UINT64_C(1) << (at % 64));
        if (GROW(&list->cells, &list->cap, list->n + 1))
                list->cells[list->n++] = cell;
}

/* ---- adding up ---------------------------------------------------------------------------- */

void prom_sum_counters_(const uint32_t *cells, size_t n, bool with_parts,
                        struct counter_value *values)
{
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                for (size_t i = 0; i < n; i++) {
                        const uint64_t *words = slab->dir->real[cells[i] >> PROM_CHUNK_SHIFT_];
                        if (!words)
                                continue;
                        words += cells[i] & (PROM_CHUNK_WORDS_ - 1);
                        values[i].whole += LOAD(&words[COUNTER_INT]);
                        if (with_parts)
                                values[i].part += double_of(LOAD(&words[COUNTER_FLOAT]));
                }
        }
}

/* Reads a block while its owner may be writing; false if what was read does not belong together.
 * The owner's stores of data are releases that follow the odd sequence, so whoever sees new data
 * sees the sequence move. */
static bool read_block(const uint64_t *block, size_t n, uint64_t *buckets, uint64_t *sum)
{
        uint64_t sequence = LOAD_ACQUIRE(&block[HISTOGRAM_SEQ]);
        *sum = LOAD_ACQUIRE(&block[HISTOGRAM_SUM]);
        for (size_t i = 0; i < n; i++)
                buckets[i] = LOAD_ACQUIRE(&block[HISTOGRAM_BUCKETS + i]);
        return !(sequence & 1) && LOAD(&block[HISTOGRAM_SEQ]) == sequence;
}

/* A thread that observes without pause could make every read fail, so after a few its chunk is
 * hidden from it: at most the update under way then changes the block, the next one waits. */
static void read_slab(struct slab *slab, uint32_t number, const uint64_t *block, size_t n,
                      uint64_t *buckets, uint64_t *sum)
{
        for (int i = 0; i < QUICK_TRIES; i++)
                if (read_block(block, n, buckets, sum) || slab->orphaned)
                        return;
        STORE(&slab->dir->visible[number], NULL);
        for (int i = 0; !read_block(block, n, buckets, sum); i++) {
                if (i == YIELDING_TRIES + SLEEPING_TRIES)
                        break;
                if (i < YIELDING_TRIES)
                        sched_yield();
                else
                        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        }
        STORE(&slab->dir->visible[number], slab->dir->real[number]);
}

void prom_sum_histogram_(uint32_t cell, size_t n_buckets, uint64_t *buckets, double *sum)
{
        uint32_t number = cell >> PROM_CHUNK_SHIFT_;
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                const uint64_t *words = slab->dir->real[number];
                uint64_t one[PROM_BUCKETS_MAX + 1], part;
                if (!words)
                        continue;
                read_slab(slab, number, words + (cell & (PROM_CHUNK_WORDS_ - 1)), n_buckets, one,
                          &part);
                for (size_t i = 0; i < n_buckets; i++)
                        buckets[i] += one[i];
                *sum += double_of(part);
        }
}
