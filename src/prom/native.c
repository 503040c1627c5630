/* SPDX-License-Identifier: Apache-2.0 */
/* Counting in sparse exponential buckets: the blocks of the threads. See native.h. */
#include "prom/native.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)
#define SIGN_BIT (UINT64_C(1) << 63)
#define EXPONENT_BIAS 1023

/* ---- buckets ------------------------------------------------------------------------------ */

/* v = m * 2^e with m in [1, 2): 256 buckets up to 2^e, and one more for each bound below m. */
static inline int32_t index_of_parts(int32_t e, uint64_t m)
{
        const unsigned below = prom_native_guess_[m >> (MANTISSA_BITS - 9)];
        return e * NATIVE_BOUNDS + (int32_t)below + (prom_native_bounds_[below] < m) -
               EXPONENT_BIAS * NATIVE_BOUNDS;
}

static inline int32_t index_of(uint64_t bits)
{
        int32_t e = (int32_t)(bits >> MANTISSA_BITS);
        uint64_t m = bits & MANTISSA_MASK;
        if (unlikely(e == 0)) { /* subnormal */
                int shift = __builtin_clzll(m) - (63 - MANTISSA_BITS);
                m = m << shift & MANTISSA_MASK;
                e = 1 - shift;
        }
        return index_of_parts(e, m);
}

int32_t prom_native_index_(double v)
{
        return index_of(bits_of(v) & ~SIGN_BIT);
}

/* 2^e, 0 or infinity out of range. */
static double power_of_two(int e)
{
        if (e > EXPONENT_BIAS)
                return (double)INFINITY;
        if (e > -EXPONENT_BIAS)
                return double_of((uint64_t)(e + EXPONENT_BIAS) << MANTISSA_BITS);
        const int subnormal = e + EXPONENT_BIAS + MANTISSA_BITS - 1;
        return subnormal >= 0 ? double_of(UINT64_C(1) << subnormal) : 0;
}

double prom_native_bound_(int32_t index, int schema)
{
        const int32_t fine = (int32_t)((uint32_t)index << (NATIVE_SCHEMA_MAX - schema));
        const int e = fine >> 8;
        const double m = double_of((uint64_t)EXPONENT_BIAS << MANTISSA_BITS |
                                   prom_native_bounds_[fine & (NATIVE_BOUNDS - 1)]);
        return m * power_of_two(e);
}

/* client_golang's pickSchema(): the smallest schema whose 2^(2^-schema) is <= `factor`, by -floor(log2(
 * log2(factor))) in the doubles of Go. These are the smallest factors that come out as each schema from
 * the coarsest to the second finest. */
int prom_native_schema_(double factor)
{
        static const double widths[] = {
                0x1.ffffffffffff0p15, 0x1.ffffffffffff8p7, 0x1.fffffffffffffp3, 0x1.0000000000000p2,
                0x1.0000000000000p1,  0x1.6a09e667f3bcdp0, 0x1.306fe0a31b716p0, 0x1.172b83c7d517bp0,
                0x1.0b5586cf98910p0,  0x1.059b0d3158574p0, 0x1.02c9a3e778061p0, 0x1.0163da9fb3336p0,
        };
        int schema = NATIVE_SCHEMA_MIN;
        while (schema < NATIVE_SCHEMA_MAX && widths[schema - NATIVE_SCHEMA_MIN] > factor)
                schema++;
        return schema;
}

/* Where the search for a tag begins. Buckets in use mostly lie one beside the other, and so do their
 * entries: each is found at once. The negative ones begin in the other half. */
static inline size_t home_of(const struct native_block *block, uint64_t tag)
{
        return ((tag >> 1) + (tag & 1) * (block->mask / 2)) & block->mask;
}

static inline struct native_entry *slot_of(struct native_block *block, uint64_t tag)
{
        for (size_t i = home_of(block, tag);; i = (i + 1) & block->mask) {
                struct native_entry *entry = &block->entries[i];
                const uint64_t there = LOAD(&entry->tag);
                if (there == tag || there == 0)
                        return entry;
        }
}

/* ---- blocks, with slab_lock held ---------------------------------------------------------- */

static void set_room(struct native_block *block)
{
        const size_t most = native_capacity(block) * 3 / 4;
        const size_t limit = block->native->max_buckets;
        block->room = (uint32_t)(most > limit && block->used < limit ? limit : most);
}

void prom_native_quicken_(struct native_block *block)
{
        const double above = block->zero_threshold > DBL_MIN ? block->zero_threshold : DBL_MIN;
        STORE(&block->quick_above, block->native->n_classic ? INT64_MAX : (int64_t)bits_of(above));
}

static void set_threshold(struct native_block *block)
{
        block->zero_threshold = block->native->zero_threshold;
        prom_native_quicken_(block);
}

static struct native_block *block_new(struct native *native, size_t capacity)
{
        const size_t classic = native->n_classic * sizeof(uint64_t);
        size_t size = sizeof(struct native_block) + capacity * sizeof(struct native_entry);
        size = (size + classic + 63) & ~(size_t)63;
        struct native_block *block = aligned_alloc(64, size);
        if (!block)
                return NULL;
        memset(block, 0, size);
        block->native = native;
        block->epoch = native->epoch;
        block->coarser = (unsigned)(NATIVE_SCHEMA_MAX - native->schema);
        set_threshold(block);
        block->mask = (uint32_t)capacity - 1;
        block->classic = (uint64_t *)&block->entries[capacity];
        set_room(block);
        return block;
}

static void link_to_series(struct native_block *block)
{
        block->next = block->native->blocks;
        block->link = &block->native->blocks;
        if (block->next)
                block->next->link = &block->next;
        block->native->blocks = block;
}

static void link_to_thread(struct native_block *block, struct native_block **list)
{
        block->thread_next = *list;
        block->thread_link = list;
        if (block->thread_next)
                block->thread_next->thread_link = &block->thread_next;
        *list = block;
}

static void unlink_from_thread(struct native_block *block)
{
        if (!block->thread_link)
                return;
        *block->thread_link = block->thread_next;
        if (block->thread_next)
                block->thread_next->thread_link = block->thread_link;
        block->thread_link = NULL;
}

static void block_free(struct native_block *block)
{
        unlink_from_thread(block);
        *block->link = block->next;
        if (block->next)
                block->next->link = block->link;
        if (block->native->folded == block)
                block->native->folded = NULL;
        free(block);
}

/* The block may be read by nobody now, so it need not look whole in between. */
static void add_entry(struct native_block *block, uint64_t tag, uint64_t count)
{
        struct native_entry *entry = slot_of(block, tag);
        if (entry->tag == 0) {
                STORE(&entry->tag, tag);
                block->used++;
        }
        STORE(&entry->count, entry->count + count);
}

static void clear(struct native_block *block)
{
        for (size_t i = 0; i < native_capacity(block); i++) {
                STORE(&block->entries[i].tag, 0);
                STORE(&block->entries[i].count, 0);
        }
        block->used = 0;
}

static void clear_all(struct native_block *block)
{
        clear(block);
        STORE(&block->sum, 0);
        STORE(&block->zeros, 0);
        for (size_t i = 0; i < block->native->n_classic; i++)
                STORE(&block->classic[i], 0);
}

uint64_t prom_native_converted_(const struct native_block *block, uint64_t tag)
{
        const struct native *native = block->native;
        const int32_t index = native_index(tag);
        const bool negative = tag & 1;
        const int schema = NATIVE_SCHEMA_MAX - (int)block->coarser;
        if (native->zero_threshold > block->zero_threshold &&
            prom_native_bound_(index, schema) <= native->zero_threshold)
                return 0;
        return native_tag(native_coarser(index, (unsigned)(schema - native->schema)), negative);
}

/* Room for the entries is there: they only become fewer. */
void prom_native_rebuild_(struct native_block *block)
{
        struct native *native = block->native;
        const size_t n = native_capacity(block);
        struct native_entry *old = block->used ? prom_native_scratch_(n) : NULL;
        if (block->epoch != native->epoch || (block->used && !old)) {
                clear_all(block); /* without memory for the old counts they are lost */
                if (block->epoch == native->epoch)
                        COUNT(&prom_lost_updates_, 1);
        } else if (block->used) {
                memcpy(old, block->entries, n * sizeof(*old));
                clear(block);
                for (size_t i = 0; i < n; i++) {
                        if (old[i].tag == 0)
                                continue;
                        uint64_t tag = prom_native_converted_(block, old[i].tag);
                        if (tag)
                                add_entry(block, tag, old[i].count);
                        else
                                STORE(&block->zeros, block->zeros + old[i].count);
                }
        }
        block->epoch = native->epoch;
        block->coarser = (unsigned)(NATIVE_SCHEMA_MAX - native->schema);
        set_threshold(block);
        block->version = native->version;
        set_room(block);
}

/* A block like this one with twice the capacity takes its place; NULL without memory. */
static struct native_block *grow(struct native_block *old, struct native_block **thread_list)
{
        const size_t n = native_capacity(old);
        struct native_block *block = block_new(old->native, 2 * n);
        if (!block)
                return NULL;
        block->sequence = old->sequence;
        block->version = old->version;
        block->epoch = old->epoch;
        block->sum = old->sum;
        block->zeros = old->zeros;
        block->cell = old->cell;
        for (size_t i = 0; i < n; i++)
                if (old->entries[i].tag)
                        add_entry(block, old->entries[i].tag, old->entries[i].count);
        memcpy(block->classic, old->classic, old->native->n_classic * sizeof(*block->classic));
        set_room(block);
        if (old->native->folded == old)
                old->native->folded = block;
        block_free(old);
        link_to_series(block);
        if (thread_list)
                link_to_thread(block, thread_list);
        return block;
}

/* ---- what observing comes to now and then ------------------------------------------------- */

/* This thread's block, made and brought up to date, with slab_lock held. NULL without memory. */
static struct native_block *own_block(struct prom_series *series)
{
        struct native *native = series->native;
        uint64_t *word = prom_own_cell_(series->pub.cell);
        if (!word)
                return NULL;
        struct native_block *block = (struct native_block *)(uintptr_t)*word;
        if (!block) {
                block = block_new(native, NATIVE_BLOCK_FIRST);
                if (!block)
                        return NULL;
                block->cell = series->pub.cell;
                block->version = native->version;
                link_to_series(block);
                link_to_thread(block, prom_own_natives_());
                STORE(word, (uint64_t)(uintptr_t)block);
        }
        if (block->version != native->version)
                prom_native_rebuild_(block);
        return block;
}

static __attribute__((noinline)) struct native_block *refresh(struct prom_series *series)
{
        pthread_mutex_lock(&prom_slab_lock_);
        struct native_block *block = own_block(series);
        pthread_mutex_unlock(&prom_slab_lock_);
        return block;
}

/* Sees to it that a bucket more fits into this thread's block. False without memory. */
static __attribute__((noinline)) bool make_room(struct prom_series *series, uint64_t tag)
{
        pthread_mutex_lock(&prom_slab_lock_);
        struct native_block *block = own_block(series);
        if (block && block->used >= block->room && block->used >= block->native->max_buckets) {
                prom_native_limit_(series, tag);
                block = own_block(series);
        }
        if (block && block->used >= block->room) {
                block = grow(block, prom_own_natives_());
                if (block)
                        STORE(prom_own_cell_(series->pub.cell), (uint64_t)(uintptr_t)block);
        }
        pthread_mutex_unlock(&prom_slab_lock_);
        return block != NULL;
}

static __attribute__((noinline)) void lose(void)
{
        COUNT(&prom_lost_updates_, 1);
}

/* The count to increase, and the tag of the entry if it is a new one. NULL without room. */
static inline uint64_t *place_of(struct native_block *block, double v, uint64_t *ret_tag,
                                 struct native_entry **ret_new)
{
        const uint64_t bits = bits_of(v) & ~SIGN_BIT;
        *ret_new = NULL;
        if (unlikely(double_of(bits) <= block->zero_threshold || bits == 0))
                return &block->zeros;
        const uint64_t tag = native_tag(native_coarser(index_of(bits), block->coarser), v < 0);
        struct native_entry *entry = slot_of(block, tag);
        *ret_tag = tag;
        if (unlikely(LOAD(&entry->tag) == 0)) {
                if (block->used >= block->room)
                        return NULL;
                *ret_new = entry;
        }
        return &entry->count;
}

/* This thread's block as it stands, NULL if there is none. Not by prom_cell_(): what that gives a
 * thread without memory for cells is no address. */
static inline struct native_block *block_here(const struct prom_series *series)
{
        const uint64_t *cells = LOAD(&prom_own_.cells);
        return cells ? (struct native_block *)(uintptr_t)LOAD(&cells[series->pub.cell]) : NULL;
}

/* Everything but the common case. */
void prom_native_observe_any_(struct prom_series *series, double v)
{
        struct native *native = series->native;
        struct native_entry *new;
        struct native_block *block;
        uint64_t *count, tag = 0;
        for (;;) {
                block = block_here(series);
                if (!block || block->version != LOAD_ACQUIRE(&native->version))
                        block = refresh(series);
                if (!block)
                        return lose();
                count = place_of(block, v, &tag, &new);
                if (count)
                        break;
                if (!make_room(series, tag))
                        return lose();
        }
        uint64_t *bucket =
                native->n_classic ? &block->classic[prom_find_bucket_(series->family, v)] : NULL;
        const uint64_t sequence = LOAD(&block->sequence);

        STORE(&block->sequence, sequence + 1);
        if (new) {
                STORE_RELEASE(&new->tag, tag);
                block->used++;
        }
        add_own(&block->sum, v);
        STORE_RELEASE(count, LOAD(count) + 1);
        if (bucket)
                STORE_RELEASE(bucket, LOAD(bucket) + 1);
        STORE_RELEASE(&block->sequence, sequence + 2);
}

/* The common case has no calls, so that it needs few registers: a normal number above the zero
 * threshold, into a bucket that this thread has and finds at once, and no classic buckets. What the
 * series is set to does not matter: see quick_above. */
void prom_native_observe_(struct prom_series *series, uint64_t *cells, double v)
{
        const uint64_t bits = bits_of(v);
        struct native_block *block =
                (struct native_block *)(uintptr_t)LOAD(&cells[series->pub.cell]);
        if (unlikely(!block || (int64_t)bits <= LOAD(&block->quick_above)))
                return prom_native_observe_any_(series, v);
        const int32_t index =
                index_of_parts((int32_t)(bits >> MANTISSA_BITS), bits & MANTISSA_MASK);
        const uint64_t tag = native_tag(native_coarser(index, block->coarser), false);
        struct native_entry *entry = &block->entries[home_of(block, tag)];
        if (unlikely(LOAD(&entry->tag) != tag))
                return prom_native_observe_any_(series, v);
        const uint64_t sequence = LOAD(&block->sequence);

        STORE(&block->sequence, sequence + 1);
        add_own(&block->sum, v);
        STORE_RELEASE(&entry->count, LOAD(&entry->count) + 1);
        STORE_RELEASE(&block->sequence, sequence + 2);
}

/* ---- threads and series go ---------------------------------------------------------------- */

/* With folded and block as the series is set; false, and nothing done, without memory. */
static bool add_to_folded(struct native *native, const struct native_block *block)
{
        while (native->folded->used + block->used > native_capacity(native->folded) * 3 / 4)
                if (!grow(native->folded, NULL))
                        return false;
        struct native_block *folded = native->folded;
        for (size_t i = 0; i < native_capacity(block); i++)
                if (block->entries[i].tag)
                        add_entry(folded, block->entries[i].tag, block->entries[i].count);
        for (size_t i = 0; i < native->n_classic; i++)
                STORE(&folded->classic[i], folded->classic[i] + block->classic[i]);
        STORE(&folded->zeros, folded->zeros + block->zeros);
        STORE(&folded->sum, bits_of(double_of(folded->sum) + double_of(block->sum)));
        return true;
}

/* Of a thread that is not here any more: whatever it was in the middle of, it will not go on. */
static void come_to_rest(struct native_block *block)
{
        block->used = 0;
        for (size_t i = 0; i < native_capacity(block); i++)
                block->used += block->entries[i].tag != 0;
        STORE(&block->sequence, block->sequence & ~UINT64_C(1));
        block->orphaned = false;
}

/* A block that cannot be added stays among those of the series. */
static void fold(struct native_block *block)
{
        struct native *native = block->native;
        unlink_from_thread(block);
        if (block->orphaned)
                come_to_rest(block);
        prom_native_rebuild_(block);
        if (native->folded)
                prom_native_rebuild_(native->folded);
        if (!native->folded)
                native->folded = block;
        else if (add_to_folded(native, block))
                block_free(block);
}

void prom_native_fold_(struct native_block *blocks)
{
        for (struct native_block *block = blocks, *next; block; block = next) {
                next = block->thread_next;
                fold(block);
        }
}

bool prom_native_init_(struct prom_series *series)
{
        const struct prom_family *family = series->family;
        struct native *native = prom_arena_get_(&series->family->arena, sizeof(*native));
        if (!native)
                return false;
        native->version = NATIVE_HELD_OFF + 1;
        native->schema = family->limits.schema;
        native->zero_threshold = family->limits.zero_threshold;
        native->max_buckets = family->limits.max_buckets;
        native->n_classic = family->classic ? family->n_buckets + 1 : 0;
        native->reset_ns = prom_now_ns();
        series->native = native;
        return true;
}

void prom_native_release_(struct prom_series *series)
{
        pthread_mutex_lock(&prom_slab_lock_);
        while (series->native->blocks)
                block_free(series->native->blocks);
        prom_summary_window_free_(series->native->window);
        pthread_mutex_unlock(&prom_slab_lock_);
}
