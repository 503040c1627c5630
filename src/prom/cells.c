/* SPDX-License-Identifier: Apache-2.0 */
/* Cells, the slabs of the threads, and adding them up. */
#include "prom/native.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
        EXTENT_FIRST = 4096,  /* words; a multiple of a page and of a chunk */
        CELL_FIRST = 40,      /* a multiple of FOLD_GROUP. Not 0: processors take a load for one of
                                  what was just stored if the addresses agree in their last 12 bits,
                                  and much that is read beside a cell begins a page, too */
        FOLD_GROUP = 8,       /* words; divides a chunk */
        YIELDING_TRIES = 100, /* reads of a histogram whose thread is held off, giving way to it, */
        SLEEPING_TRIES = 2000, /* and, should it have been preempted, sleeping in between */
        SLEEP_NS = 100000,
        CHUNKS_MAX = PROM_CELLS_MAX / PROM_CHUNK_WORDS_,
};

/* The cells a thread has counted in, by number: a mapping of its own with room for all there may be,
 * of which the first `extent` can be used. It is 0 where the thread has not counted yet, and has no
 * memory behind it there (but for the zero page, once a scrape read it). */
struct slab {
        uint64_t *cells;              /* NULL: none, in the base */
        struct native_block *natives; /* of its thread */
        struct prom_own_ *owner; /* what its thread sees of it; NULL: it has no thread (any more) */
        bool at_rest; /* no thread writes it: that of the base, or one left behind by fork(), perhaps
                         in mid-update */
        struct slab *next;
        struct slab **link; /* what points here */
};

pthread_mutex_t prom_slab_lock_ = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t prom_table_lock_ = PTHREAD_MUTEX_INITIALIZER;
uint64_t prom_lost_updates_;

/* A scrape may take the cells of another thread away for a moment; that thread then comes to
 * prom_cell_slow_() and waits for slab_lock there. */
__thread struct prom_own_ prom_own_;
static __thread struct slab *own_slab;

/* Under slab_lock. */
static struct slab base = {.at_rest = true};
static struct slab *slabs = &base;
static uint32_t extent = EXTENT_FIRST; /* of the cells of every slab; all in use are below it */
static uint64_t lost_cells[PROM_CHUNK_WORDS_ + COUNTER_APART];

/* Under table_lock. */
static uint32_t n_chunks; /* all cells in use are in these; loaded without the lock, too */
static uint64_t float_cells[PROM_CELLS_MAX / 64];
static uint64_t used_cells[PROM_CELLS_MAX / 64];
static uint16_t largest_run[CHUNKS_MAX]; /* of unused cells in the chunk, at most; all of it if none
                                            was taken since the last was freed */
static uint8_t kinds[CHUNKS_MAX];        /* enum chunk_kind */
static uint32_t from_chunk[SERIES_CELLS_MAX + 1]; /* by length: no such run is before it */

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static bool exit_key_made;

/* The whole parts of counters stand close together, which makes a scrape of many a good deal faster,
 * and their fractions in the chunk behind, a page that has no memory until there is one. */
enum chunk_kind {
        CHUNK_OF_ANY,
        CHUNK_OF_INTS, /* the next one is of the same counters' floats */
        CHUNK_OF_FLOATS,
};

/* A bit for each chunk. */
struct chunk_set {
        uint64_t bits[CHUNKS_MAX / 64];
};

static inline bool is_float(uint32_t cell)
{
        return float_cells[cell / 64] >> (cell % 64) & 1;
}

/* ---- threads come and go ----------------------------------------------------------------- */

/* Address space for all cells, the first `extent` of them usable; NULL if there is none. */
static uint64_t *cells_new(void)
{
        const size_t size = PROM_CELLS_MAX * sizeof(uint64_t);
        void *cells =
                mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (cells == MAP_FAILED)
                return NULL;
        /* Huge pages would give every thread megabytes for its first count. */
        (void)madvise(cells, size, MADV_NOHUGEPAGE);
        if (mprotect(cells, extent * sizeof(uint64_t), PROT_READ | PROT_WRITE) == 0)
                return cells;
        munmap(cells, size);
        return NULL;
}

/* Makes the cells below `end` usable in every slab. */
static bool extend(uint32_t end)
{
        uint32_t n = extent;
        bool done = true;
        if (end <= extent)
                return true;
        while (n < end)
                n *= 2;
        pthread_mutex_lock(&prom_slab_lock_);
        for (struct slab *slab = slabs; slab && done; slab = slab->next)
                if (slab->cells)
                        done = mprotect(slab->cells, n * sizeof(uint64_t),
                                        PROT_READ | PROT_WRITE) == 0;
        if (done)
                extent = n;
        pthread_mutex_unlock(&prom_slab_lock_);
        return done;
}

static void fold_group(uint32_t first, const uint64_t *words)
{
        for (uint32_t i = first; i < first + FOLD_GROUP; i++) {
                uint64_t sum = LOAD(&base.cells[i]);
                if (!words[i])
                        continue;
                if (is_float(i))
                        sum = bits_of(double_of(sum) + double_of(words[i]));
                else
                        sum += words[i];
                STORE(&base.cells[i], sum);
        }
}

/* Where the thread that calls, or nobody, has counted: that can be much to look through, but needs no
 * lock, as others at most clear what is there. */
static void find_counts(const struct slab *slab, struct chunk_set *ret)
{
        const uint32_t n = LOAD_ACQUIRE(&n_chunks);
        memset(ret, 0, sizeof(*ret));
        for (uint32_t chunk = 0; chunk < n; chunk++) {
                const uint64_t *words = slab->cells + (size_t)chunk * PROM_CHUNK_WORDS_;
                uint64_t any = 0;
                for (unsigned i = 0; i < PROM_CHUNK_WORDS_; i++)
                        any |= LOAD(&words[i]);
                if (any)
                        ret->bits[chunk / 64] |= UINT64_C(1) << (chunk % 64);
        }
}

static void fold_chunk(uint32_t first, const uint64_t *words)
{
        for (uint32_t i = first; i < first + PROM_CHUNK_WORDS_; i += FOLD_GROUP) {
                uint64_t any = 0;
                for (uint32_t j = 0; j < FOLD_GROUP; j++)
                        any |= words[i + j];
                if (any)
                        fold_group(i, words);
        }
}

/* Adds a slab's cells to the base. */
static void fold(struct slab *slab, const struct chunk_set *counts)
{
        if (!base.cells) { /* nothing to add to: they become the base's own */
                base.cells = slab->cells;
                return;
        }
        for (uint32_t i = 0; i < CHUNKS_MAX / 64; i++)
                for (uint64_t bits = counts->bits[i]; bits; bits &= bits - 1)
                        fold_chunk((i * 64 + (uint32_t)__builtin_ctzll(bits)) * PROM_CHUNK_WORDS_,
                                   slab->cells);
        munmap(slab->cells, PROM_CELLS_MAX * sizeof(uint64_t));
}

/* With both locks held, table_lock for float_cells: leaves the counts of a slab without a thread
 * behind. */
static void slab_free(struct slab *slab, const struct chunk_set *counts)
{
        for (struct native_block *block = slab->natives; block; block = block->thread_next)
                STORE(&slab->cells[block->cell], 0); /* an address, nothing to add up */
        prom_native_fold_(slab->natives);
        fold(slab, counts);
        *slab->link = slab->next;
        if (slab->next)
                slab->next->link = slab->link;
        free(slab);
}

static void thread_exits(void *p)
{
        struct slab *slab = p;
        struct chunk_set counts;
        find_counts(slab, &counts);
        pthread_mutex_lock(&prom_table_lock_);
        pthread_mutex_lock(&prom_slab_lock_);
        slab->owner = NULL;
        slab_free(slab, &counts);
        pthread_mutex_unlock(&prom_slab_lock_);
        pthread_mutex_unlock(&prom_table_lock_);
        /* Should another destructor of this thread still count something, it gets a new slab, and
         * this function runs again. */
        prom_own_.cells = NULL;
        own_slab = NULL;
}

static void make_exit_key(void)
{
        exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
}

/* With slab_lock held. */
static struct slab *slab_new(void)
{
        struct slab *slab = calloc(1, sizeof(*slab));
        if (slab)
                slab->cells = cells_new();
        if (!slab || !slab->cells) {
                free(slab);
                return NULL;
        }
        pthread_once(&exit_once, make_exit_key);
        /* Without a key nobody says when the thread ends: the slab stays in the list for ever and
         * its thread cannot be held off; sums stay right, memory is lost. */
        if (exit_key_made && pthread_setspecific(exit_key, slab) == 0)
                slab->owner = &prom_own_;
        slab->next = base.next;
        slab->link = &base.next;
        if (slab->next)
                slab->next->link = &slab->next;
        base.next = slab;
        return slab;
}

uint64_t *prom_own_cell_(uint32_t cell)
{
        if (!own_slab)
                own_slab = slab_new();
        if (!own_slab)
                return NULL;
        STORE(&prom_own_.cells, own_slab->cells);
        return own_slab->cells + cell;
}

uint64_t *prom_cell_slow_(uint32_t cell)
{
        pthread_mutex_lock(&prom_slab_lock_);
        uint64_t *found = prom_own_cell_(cell);
        pthread_mutex_unlock(&prom_slab_lock_);
        if (found)
                return found;
        COUNT(&prom_lost_updates_, 1);
        return &lost_cells[cell & (PROM_CHUNK_WORDS_ - 1)];
}

void prom_counter_add_slow_(struct prom_counter *counter, uint64_t n)
{
        uint64_t *cell = prom_cell_slow_(counter->cell);
        STORE(cell, LOAD(cell) + n);
}

struct native_block **prom_own_natives_(void)
{
        return &own_slab->natives;
}

/* A process that is replaced by its child again and again must not grow. Not in the child, of which
 * most are replaced by another program. A histogram left in mid-update makes the sequence of the base
 * odd, which nobody asks for. */
void prom_before_fork_(void)
{
        struct chunk_set counts;
        for (struct slab *slab = base.next, *next; slab; slab = next) {
                next = slab->next;
                if (!slab->at_rest)
                        continue;
                find_counts(slab, &counts);
                slab_free(slab, &counts);
        }
}

void prom_after_fork_(void)
{
        for (struct slab *slab = base.next; slab; slab = slab->next) {
                if (slab == own_slab)
                        continue;
                slab->at_rest = true;
                for (struct native_block *b = slab->natives; b; b = b->thread_next)
                        b->orphaned = true;
                slab->owner = NULL; /* another thread may get its stack */
        }
}

/* ---- numbers of cells --------------------------------------------------------------------- */

static void set_used(uint32_t cell, unsigned n, bool used)
{
        for (uint32_t i = cell; i < cell + n; i++) {
                const uint64_t bit = UINT64_C(1) << (i % 64);
                used_cells[i / 64] = used ? used_cells[i / 64] | bit : used_cells[i / 64] & ~bit;
        }
}

/* The first n unused cells in a row, in a chunk of that kind. */
static bool find_run(uint32_t chunk, enum chunk_kind kind, unsigned n, uint32_t *ret_cell)
{
        const uint32_t first = chunk * PROM_CHUNK_WORDS_, end = first + PROM_CHUNK_WORDS_;
        unsigned run = 0;
        if (kinds[chunk] != kind || largest_run[chunk] < n)
                return false;
        for (uint32_t i = first; i < end; i++) {
                if (used_cells[i / 64] == UINT64_MAX) {
                        i |= 63;
                        run = 0;
                        continue;
                }
                run = used_cells[i / 64] >> (i % 64) & 1 ? 0 : run + 1;
                if (run == n) {
                        *ret_cell = i + 1 - n;
                        return true;
                }
        }
        largest_run[chunk] = (uint16_t)(n - 1);
        return false;
}

static bool add_chunk(void)
{
        if (n_chunks == CHUNKS_MAX || !extend((n_chunks + 1) * PROM_CHUNK_WORDS_))
                return false;
        if (n_chunks == 0)
                set_used(0, CELL_FIRST, true);
        largest_run[n_chunks] = PROM_CHUNK_WORDS_;
        STORE_RELEASE(&n_chunks, n_chunks + 1); /* after all slabs have it */
        return true;
}

static bool is_unused(uint32_t chunk)
{
        const uint64_t *used = &used_cells[chunk * PROM_CHUNK_WORDS_ / 64];
        uint64_t any = 0;
        for (unsigned i = 0; i < PROM_CHUNK_WORDS_ / 64; i++)
                any |= used[i];
        return any == 0;
}

/* Two chunks for counters: such ones, or unused ones. The very first cells stay free, see CELL_FIRST. */
static bool is_pair(uint32_t chunk)
{
        static bool first_made;
        if (kinds[chunk] == CHUNK_OF_INTS)
                return true;
        if (chunk + 1 >= n_chunks || kinds[chunk] != CHUNK_OF_ANY ||
            kinds[chunk + 1] != CHUNK_OF_ANY || !is_unused(chunk) || !is_unused(chunk + 1))
                return false;
        kinds[chunk] = CHUNK_OF_INTS;
        kinds[chunk + 1] = CHUNK_OF_FLOATS;
        if (!first_made)
                set_used(chunk * PROM_CHUNK_WORDS_, CELL_FIRST, true);
        first_made = true;
        return true;
}

static bool find_cells(unsigned n, uint32_t *ret_cell)
{
        const bool counter = n == COUNTER_WORDS;
        for (uint32_t *chunk = &from_chunk[n];; ++*chunk) {
                while (*chunk + counter >= n_chunks)
                        if (!add_chunk())
                                return false;
                if (counter && is_pair(*chunk) && find_run(*chunk, CHUNK_OF_INTS, 1, ret_cell))
                        return true;
                if (!counter && find_run(*chunk, CHUNK_OF_ANY, n, ret_cell))
                        return true;
        }
}

static void set_all_used(uint32_t cell, unsigned n, bool used)
{
        if (n != COUNTER_WORDS)
                return set_used(cell, n, used);
        set_used(cell, 1, used);
        set_used(cell + COUNTER_APART, 1, used);
}

static uint32_t place_of_float(uint32_t cell, unsigned n, unsigned float_cell)
{
        return n == COUNTER_WORDS ? cell + COUNTER_APART : cell + float_cell;
}

int prom_cells_alloc_(unsigned n, unsigned float_cell, uint32_t *ret_cell)
{
        uint32_t cell;
        if (!find_cells(n, &cell))
                return -ENOSPC;
        set_all_used(cell, n, true);
        uint16_t *largest = &largest_run[cell / PROM_CHUNK_WORDS_];
        if (*largest == PROM_CHUNK_WORDS_)
                *largest = PROM_CHUNK_WORDS_ - 1;
        const uint32_t at = place_of_float(cell, n, float_cell);
        if (float_cell < n)
                float_cells[at / 64] |= UINT64_C(1) << (at % 64);
        *ret_cell = cell;
        return 0;
}

static void clear(uint64_t *words, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                if (LOAD(&words[i]))
                        STORE(&words[i], 0);
}

void prom_cells_clear_(uint32_t cell, unsigned n)
{
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                if (!slab->cells)
                        continue;
                clear(slab->cells + cell, n == COUNTER_WORDS ? 1 : n);
                if (n == COUNTER_WORDS)
                        clear(slab->cells + cell + COUNTER_APART, 1);
        }
}

/* Cells of the chunk were freed. */
static void look_again(uint32_t chunk)
{
        const uint32_t from = chunk > 0 ? chunk - 1 : 0; /* where a pair may begin */
        bool changed = largest_run[chunk] != PROM_CHUNK_WORDS_;
        largest_run[chunk] = PROM_CHUNK_WORDS_; /* who looks for a run finds out */
        if (kinds[chunk] == CHUNK_OF_INTS && is_unused(chunk)) {
                kinds[chunk] = kinds[chunk + 1] = CHUNK_OF_ANY;
                largest_run[chunk + 1] = PROM_CHUNK_WORDS_;
                changed = true;
        }
        for (unsigned i = 0; changed && i <= SERIES_CELLS_MAX; i++)
                from_chunk[i] = from_chunk[i] < from ? from_chunk[i] : from;
}

void prom_cells_free_(uint32_t cell, unsigned n, unsigned float_cell)
{
        const uint32_t at = place_of_float(cell, n, float_cell);
        const uint32_t chunk = cell / PROM_CHUNK_WORDS_;
        pthread_mutex_lock(&prom_slab_lock_);
        prom_cells_clear_(cell, n);
        pthread_mutex_unlock(&prom_slab_lock_);
        if (float_cell < n)
                float_cells[at / 64] &= ~(UINT64_C(1) << (at % 64));
        set_all_used(cell, n, false);
        look_again(chunk);
        uint32_t left = n_chunks;
        while (left > 1 && is_unused(left - 1))
                left--;
        STORE(&n_chunks, left);
}

/* ---- adding up ---------------------------------------------------------------------------- */

void prom_sum_counters_(const uint32_t *cells, size_t n, bool with_parts,
                        struct counter_value *values)
{
        uint64_t sums[SUM_BATCH] = {0};
        for (const struct slab *slab = slabs; slab; slab = slab->next) {
                const uint64_t *next = slab->next ? slab->next->cells : NULL;
                for (size_t i = 0; slab->cells && i < n; i++) {
                        sums[i] += LOAD(&slab->cells[cells[i]]);
                        /* The same cells of the next slab are far away. */
                        if (next && i % 8 == 0)
                                __builtin_prefetch(&next[cells[i]]);
                }
                for (size_t i = 0; with_parts && slab->cells && i < n; i++)
                        values[i].part += double_of(LOAD(&slab->cells[cells[i] + COUNTER_APART]));
        }
        for (size_t i = 0; i < n; i++)
                values[i].whole += sums[i];
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

bool prom_await_owner_(int tries)
{
        if (tries >= YIELDING_TRIES + SLEEPING_TRIES)
                return false;
        if (tries < YIELDING_TRIES)
                sched_yield();
        else
                nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        return true;
}

/* A thread that observes without pause could make every read fail, so after a few its cells are
 * hidden from it: at most the update under way then changes the block, the next one waits. */
static void read_slab(struct slab *slab, uint32_t cell, size_t n, uint64_t *buckets, uint64_t *sum)
{
        const uint64_t *block = slab->cells + cell;
        for (int i = 0; i < QUICK_TRIES; i++)
                if (read_block(block, n, buckets, sum) || slab->at_rest)
                        return;
        if (slab->owner)
                STORE(&slab->owner->cells, NULL);
        for (int i = 0; !read_block(block, n, buckets, sum) && prom_await_owner_(i); i++)
                ;
        if (slab->owner)
                STORE(&slab->owner->cells, slab->cells);
}

void prom_sum_histogram_(uint32_t cell, size_t n_buckets, uint64_t *buckets, double *sum)
{
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                uint64_t one[PROM_BUCKETS_MAX + 1], part;
                if (!slab->cells)
                        continue;
                read_slab(slab, cell, n_buckets, one, &part);
                for (size_t i = 0; i < n_buckets; i++)
                        buckets[i] += one[i];
                *sum += double_of(part);
        }
}
