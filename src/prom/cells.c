/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs, the allocation of cells, and sums over all slabs. */
#include "prom/cells.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef PROM_RSEQ
#include <sys/auxv.h>
#include <sys/rseq.h>
#endif

enum {
        EXTENT_FIRST = 4096, /* words; a multiple of a page and of a chunk */
        CHUNKS_MAX = PROM_CELLS_MAX / CHUNK_WORDS,
        SLOTS_MIN = 4,
};

uint64_t prom_lost_updates_;
struct percpu prom_percpu_;

/* Under slab_lock. */
static struct slab *slabs, **last_slab = &slabs;
static uint32_t extent = EXTENT_FIRST; /* words of each slab that are accessible; covers all
                                          cells in use */

/* A slab's cells are set once, under slab_lock, with release: whoever loads them with acquire,
 * without the lock, also sees that the memory is mapped. */
static struct slab cpu_slabs[PROM_CPUS_MAX];
static struct slab slots[PROM_SLOTS_MAX]; /* the locked slabs */
static pthread_mutex_t slot_locks[PROM_SLOTS_MAX];
static unsigned n_slots;

/* Under table_lock. */
static uint32_t n_chunks; /* all cells in use are in these chunks */
static uint64_t used_cells[PROM_CELLS_MAX / 64];
static uint16_t largest_run[CHUNKS_MAX]; /* an upper bound of the unused cells in a row in the
                                            chunk; CHUNK_WORDS if none was allocated since one
                                            was freed */
static uint8_t kinds[CHUNKS_MAX];        /* enum chunk_kind */
static uint32_t from_chunk[SERIES_CELLS_MAX + 1]; /* by length: no earlier chunk has such a run */

/* The integer parts of counters are adjacent, so that a scrape of many counters reads few cache
 * lines. The fractional part of a counter is at the same position in the next chunk, a page that
 * uses no memory until a fraction is added. */
enum chunk_kind {
        CHUNK_OF_ANY,
        CHUNK_OF_INTS, /* the next one is of the same counters' floats */
        CHUNK_OF_FLOATS,
};

/* ---- slabs -------------------------------------------------------------------------------- */

/* Reserves address space for all cells and makes the first `extent` accessible; NULL on failure. */
static uint64_t *cells_new(void)
{
        const size_t size = PROM_CELLS_MAX * sizeof(uint64_t);
        void *cells =
                mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (cells == MAP_FAILED)
                return NULL;
        /* With huge pages, the first count in a slab would use megabytes. */
        (void)madvise(cells, size, MADV_NOHUGEPAGE);
        if (mprotect(cells, extent * sizeof(uint64_t), PROT_READ | PROT_WRITE) == 0)
                return cells;
        munmap(cells, size);
        return NULL;
}

/* Makes the cells below `end` accessible in every slab. No thread updates them before the caller
 * has published their numbers, so the order of mprotect() and updates needs no other care. */
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
                done = mprotect(slab->cells, n * sizeof(uint64_t), PROT_READ | PROT_WRITE) == 0;
        if (done)
                extent = n;
        pthread_mutex_unlock(&prom_slab_lock_);
        return done;
}

/* Gives the slab its cells, unless it has them; false without memory. Appends it to the list: see
 * prom_sum_counters_(). */
static __attribute__((noinline)) bool slab_make(struct slab *slab)
{
        pthread_mutex_lock(&prom_slab_lock_);
        uint64_t *cells = slab->cells ? NULL : cells_new();
        if (cells) {
                STORE_RELEASE(&slab->cells, cells);
                *last_slab = slab;
                last_slab = &slab->next;
        }
        const bool made = slab->cells != NULL;
        pthread_mutex_unlock(&prom_slab_lock_);
        return made;
}

bool prom_percpu_make_(void)
{
        uint32_t number;
        if (!percpu_number(&number) || !slab_make(&cpu_slabs[number]))
                return false;
        /* The thread may have migrated since; then its next sequence uses another number, finds no
         * slab and comes here again. Sequences load this pointer without acquire: the loads of the
         * cells depend on it, which orders them on x86. */
        STORE_RELEASE(&prom_percpu_.cells[number], cpu_slabs[number].cells);
        return true;
}

/* Prefers the slab that this thread locked last, and takes the next one that is free. So a thread
 * that is preempted while it holds a slab delays no other thread, unless all slabs are held. */
struct slab *prom_slab_take_(void)
{
        static unsigned n_threads;
        static __thread unsigned own; /* the number of the preferred slab + 1 */
        struct slab *any = NULL;
        if (own == 0)
                own = COUNT(&n_threads, 1) % n_slots + 1;
        for (unsigned n = 0; n < n_slots; n++) {
                const unsigned i = (own - 1 + n) % n_slots;
                if (!LOAD_ACQUIRE(&slots[i].cells) && !slab_make(&slots[i]))
                        continue;
                any = &slots[i];
                if (pthread_mutex_trylock(any->lock) != 0)
                        continue;
                own = i + 1;
                return any;
        }
        if (any)
                pthread_mutex_lock(any->lock);
        return any;
}

void prom_slab_give_(struct slab *slab)
{
        pthread_mutex_unlock(slab->lock);
}

bool prom_slab_hold_(struct slab *slab)
{
        struct timespec until;
        if (!slab->lock)
                return false;
        bool held = pthread_mutex_trylock(slab->lock) == 0;
        if (unlikely(!held) && !slab->stuck) {
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_sec++;
                held = pthread_mutex_timedlock(slab->lock, &until) == 0;
        }
        slab->stuck = !held;
        return held;
}

void prom_lose_update_(void)
{
        COUNT(&prom_lost_updates_, 1);
}

/* ---- processors ---------------------------------------------------------------------------- */

#ifdef PROM_RSEQ

enum { AT_FEATURE_SIZE = 27, ID_END = 28 }; /* AT_RSEQ_FEATURE_SIZE, and of mm_cid */

static void find_rseq(struct percpu *percpu)
{
        const bool ids = getauxval(AT_FEATURE_SIZE) >= ID_END;
        percpu->id = __rseq_offset +
                     (ptrdiff_t)(ids ? ID_END - sizeof(int32_t) : offsetof(struct rseq, cpu_id));
        percpu->cs = __rseq_offset + (ptrdiff_t)offsetof(struct rseq, rseq_cs);
        percpu->usable = __rseq_size > 0 && __builtin_cpu_supports("avx");
}

#else

static void find_rseq(struct percpu *percpu)
{
}

#endif

void prom_percpu_init_(void)
{
        const long n = sysconf(_SC_NPROCESSORS_CONF);
        n_slots = n < SLOTS_MIN ? SLOTS_MIN : n > PROM_SLOTS_MAX ? PROM_SLOTS_MAX : (unsigned)n;
        for (unsigned i = 0; i < n_slots; i++) {
                pthread_mutex_init(&slot_locks[i], NULL);
                slots[i].lock = &slot_locks[i];
        }
        find_rseq(&prom_percpu_);
}

/* ---- fork() --------------------------------------------------------------------------------- */

static bool held_over_fork[PROM_SLOTS_MAX];

/* Holding all slabs ensures that no update of another thread is half done in the child. Processors'
 * slabs need no care: their updates are one store. */
void prom_slabs_before_fork_(void)
{
        for (unsigned i = 0; i < n_slots; i++)
                held_over_fork[i] = prom_slab_hold_(&slots[i]);
}

void prom_slabs_after_fork_(bool in_child)
{
        for (unsigned i = 0; i < n_slots; i++) {
                if (held_over_fork[i])
                        pthread_mutex_unlock(&slot_locks[i]);
                else if (in_child) /* its holder does not exist in the child */
                        pthread_mutex_init(&slot_locks[i], NULL);
        }
}

/* ---- allocating cells --------------------------------------------------------------------- */

static void set_used(uint32_t cell, unsigned n, bool used)
{
        for (uint32_t i = cell; i < cell + n; i++) {
                const uint64_t bit = UINT64_C(1) << (i % 64);
                used_cells[i / 64] = used ? used_cells[i / 64] | bit : used_cells[i / 64] & ~bit;
        }
}

/* Finds the first n unused cells in a row, in a chunk of that kind. */
static bool find_run(uint32_t chunk, enum chunk_kind kind, unsigned n, uint32_t *ret_cell)
{
        const uint32_t first = chunk * CHUNK_WORDS, end = first + CHUNK_WORDS;
        unsigned run = 0;
        if (kinds[chunk] != kind || largest_run[chunk] < n)
                return false;
        for (uint32_t i = first; i < end; i++) {
                if (used_cells[i / 64] == UINT64_MAX) {
                        i |= 63;
                        run = 0;
                        continue;
                }
                const bool used = used_cells[i / 64] >> (i % 64) & 1;
                run = used || (run == 0 && n > 1 && i % 2) ? 0 : run + 1;
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
        if (n_chunks == CHUNKS_MAX || !extend((n_chunks + 1) * CHUNK_WORDS))
                return false;
        largest_run[n_chunks] = CHUNK_WORDS;
        n_chunks++;
        return true;
}

static bool is_unused(uint32_t chunk)
{
        const uint64_t *used = &used_cells[chunk * CHUNK_WORDS / 64];
        uint64_t any = 0;
        for (unsigned i = 0; i < CHUNK_WORDS / 64; i++)
                any |= used[i];
        return any == 0;
}

/* Whether this chunk and the next are for counters; dedicates them to counters if both are unused.
 */
static bool is_pair(uint32_t chunk)
{
        if (kinds[chunk] == CHUNK_OF_INTS)
                return true;
        if (chunk + 1 >= n_chunks || kinds[chunk] != CHUNK_OF_ANY ||
            kinds[chunk + 1] != CHUNK_OF_ANY || !is_unused(chunk) || !is_unused(chunk + 1))
                return false;
        kinds[chunk] = CHUNK_OF_INTS;
        kinds[chunk + 1] = CHUNK_OF_FLOATS;
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

int prom_cells_alloc_(unsigned n, uint32_t *ret_cell)
{
        uint32_t cell;
        if (!find_cells(n, &cell))
                return -ENOSPC;
        set_all_used(cell, n, true);
        uint16_t *largest = &largest_run[cell / CHUNK_WORDS];
        if (*largest == CHUNK_WORDS)
                *largest = CHUNK_WORDS - 1;
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
                clear(slab->cells + cell, n == COUNTER_WORDS ? 1 : n);
                if (n == COUNTER_WORDS)
                        clear(slab->cells + cell + COUNTER_APART, 1);
        }
}

/* After cells of the chunk were freed: lets searches start at it again. */
static void look_again(uint32_t chunk)
{
        const uint32_t from = chunk > 0 ? chunk - 1 : 0; /* a pair of chunks may begin there */
        bool changed = largest_run[chunk] != CHUNK_WORDS;
        largest_run[chunk] = CHUNK_WORDS; /* the next search corrects it */
        if (kinds[chunk] == CHUNK_OF_INTS && is_unused(chunk)) {
                kinds[chunk] = kinds[chunk + 1] = CHUNK_OF_ANY;
                largest_run[chunk + 1] = CHUNK_WORDS;
                changed = true;
        }
        for (unsigned i = 0; changed && i <= SERIES_CELLS_MAX; i++)
                from_chunk[i] = from_chunk[i] < from ? from_chunk[i] : from;
}

void prom_cells_free_(uint32_t cell, unsigned n)
{
        const uint32_t chunk = cell / CHUNK_WORDS;
        pthread_mutex_lock(&prom_slab_lock_);
        prom_cells_clear_(cell, n);
        pthread_mutex_unlock(&prom_slab_lock_);
        set_all_used(cell, n, false);
        look_again(chunk);
        uint32_t left = n_chunks;
        while (left > 1 && is_unused(left - 1))
                left--;
        n_chunks = left;
}

/* ---- sums --------------------------------------------------------------------------------- */

void prom_sum_counters_(const uint32_t *cells, size_t n, bool with_parts,
                        struct counter_value *values)
{
        uint64_t sums[SUM_BATCH] = {0};
        for (const struct slab *slab = slabs; slab; slab = slab->next) {
                const uint64_t *next = slab->next ? slab->next->cells : NULL;
                for (size_t i = 0; i < n; i++) {
                        sums[i] += LOAD(&slab->cells[cells[i]]);
                        /* The same cells of the next slab are in other pages. */
                        if (next && i % 8 == 0)
                                __builtin_prefetch(&next[cells[i]]);
                }
                for (size_t i = 0; with_parts && i < n; i++)
                        values[i].part += double_of(LOAD(&slab->cells[cells[i] + COUNTER_APART]));
        }
        for (size_t i = 0; i < n; i++)
                values[i].whole += sums[i];
}

/* Adds in long double, because observations of different buckets can differ much in size. */
void prom_sum_histogram_(uint32_t cell, size_t n_buckets, uint64_t *buckets, double *sum)
{
        long double total = 0;
        for (struct slab *slab = slabs; slab; slab = slab->next) {
                const struct pair *pairs = prom_pair_at_(slab, cell);
                const bool held = prom_slab_hold_(slab);
                for (size_t i = 0; i < n_buckets; i++) {
                        const struct pair pair = pair_load(&pairs[i]);
                        buckets[i] += pair.count;
                        total += double_of(pair.sum);
                }
                if (held)
                        prom_slab_give_(slab);
        }
        *sum += (double)total;
}
