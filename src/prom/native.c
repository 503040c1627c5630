/* SPDX-License-Identifier: Apache-2.0 */
/* Counting in sparse exponential buckets. native.h explains why this needs no lock. */
#include "prom/native.h"

#include "prom/buckets.h"
#include "prom/native_bounds.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- an observation ------------------------------------------------------------------------ */

struct observed {
        double magnitude;
        int32_t index; /* at schema 8; for 0, any number */
        uint32_t away; /* distance from the start of the search to that for a positive value */
        uint64_t key;  /* the part of the tag besides the bucket: the classic bucket, and 1 if
                          negative */
};

/* Some part of a table: keeps the negative buckets apart from the positive ones. */
static inline uint32_t away_of(bool negative)
{
        return negative ? UINT32_C(0xaaaaaaaa) : 0;
}

static inline struct observed observed(const struct prom_series *series, double v)
{
        const uint64_t bits = bits_of(v) & ~SIGN_BIT;
        struct observed o = {.magnitude = double_of(bits), .key = v < 0, .away = away_of(v < 0)};
        if (bits)
                o.index = index_of(bits);
        if (series->native->n_classic)
                o.key |= (uint64_t)prom_find_bucket_(series->family->bounds,
                                                     series->family->n_padded, v)
                         << NATIVE_CLASSIC_SHIFT;
        return o;
}

/* The bucket's number in the tag, at the resolution of the block. */
static inline uint32_t number_of(const struct native_block *block, const struct observed *o)
{
        if (o->magnitude <= block->zero_threshold)
                return NATIVE_ZEROS;
        return (uint32_t)(native_coarser(o->index, block->coarser) + NATIVE_INDEX_BIAS);
}

/* The position of the tag, or the free one where it belongs. Buckets in use are mostly adjacent,
 * and so are their tags, so most searches end at the first position. */
static inline size_t place_of(const struct native_block *block, uint64_t tag)
{
        const uint32_t away = away_of(tag & 1);
        for (uint32_t i = ((uint32_t)tag >> 1) + away;; i++) {
                const uint64_t there = LOAD(&block->tags[i & block->mask]);
                if (there == tag || there == 0)
                        return i & block->mask;
        }
}

#ifdef PROM_RSEQ

/* The parts of the two restartable sequences below (percpu.h). FIND_BLOCK leaves the block in %rax,
 * the number of the bucket in %edx and the tags in %r9. ADD_TO_PAIR expects the position in %edx;
 * its last instruction commits. */
/* clang-format off */
#define FIND_BLOCK                                                                                 \
        "movq (%%rax,%[cell],8), %%rax\n"                                                          \
        "testq %%rax, %%rax\n"                                                                     \
        "jz 74f\n"                                                                                 \
        "movl %c[coarser](%%rax), %%ecx\n"                                                         \
        "movl %[below], %%edx\n"                                                                   \
        "sarl %%cl, %%edx\n"                                                                       \
        "addl %[bias], %%edx\n"                                                                    \
        "movq %c[tags](%%rax), %%r9\n"
#define ADD_TO_PAIR                                                                                \
        "shll $4, %%edx\n"                                                                         \
        "movapd %c[pairs](%%rax,%%rdx), %%xmm15\n"                                                 \
        "paddq %[one], %%xmm15\n"                                                                  \
        "addsd %[v], %%xmm15\n"                                                                    \
        "movapd %%xmm15, %c[pairs](%%rax,%%rdx)\n"
#define FIELD(name_) [name_] "i"(offsetof(struct native_block, name_))
#define OBSERVE_INPUTS(index_)                                                                     \
        PERCPU_INPUTS, [cell] "r"((uint64_t)cell), [v] "x"(v), [one] "m"(percpu_one),              \
                [below] "r"((index_) - 1), [bias] "i"(NATIVE_INDEX_BIAS + 1),                      \
                FIELD(coarser), FIELD(mask), FIELD(tags), FIELD(pairs)

/* Counts v in the block of this processor. Does what number_of() and place_of() do; 78 is the
 * search. False if there is no block, if it is stale, or if it lacks the tag. */
static inline bool observe_here(uint32_t cell, const struct observed *o, double v)
{
        __asm__ goto volatile(
                PERCPU_BEGIN
                FIND_BLOCK
                "comisd %c[above](%%rax), %[magnitude]\n"
                "ja 76f\n"
                "cmpl $0, %c[stale](%%rax)\n"
                "jne 74f\n"
                "movl %[zeros], %%edx\n"
                "76: leaq (%[key],%%rdx,2), %%r8\n"
                "addl %[away], %%edx\n"
                "78: andl %c[mask](%%rax), %%edx\n"
                "cmpq %%r8, (%%r9,%%rdx,8)\n"
                "je 79f\n"
                "cmpq $0, (%%r9,%%rdx,8)\n"
                "je 74f\n"
                "incl %%edx\n"
                "jmp 78b\n"
                "79:\n"
                ADD_TO_PAIR
                PERCPU_END
                :
                : OBSERVE_INPUTS(o->index), FIELD(above), FIELD(stale), [zeros] "i"(NATIVE_ZEROS),
                  [magnitude] "x"(o->magnitude), [away] "r"(o->away), [key] "r"(o->key)
                : "rax", "rcx", "rdx", "r8", "r9", "xmm15", "cc", "memory"
                : fail);
        return true;
fail:
        return false;
}

/* The same for values above quick_above, if the tag is at the first position of the search. */
static inline bool observe_quickly(uint32_t cell, int32_t index, double v)
{
        __asm__ goto volatile(
                PERCPU_BEGIN
                FIND_BLOCK
                "comisd %c[quick_above](%%rax), %[v]\n"
                "jbe 74f\n"
                "leaq (%%rdx,%%rdx), %%r8\n"
                "andl %c[mask](%%rax), %%edx\n"
                "cmpq %%r8, (%%r9,%%rdx,8)\n"
                "jne 74f\n"
                ADD_TO_PAIR
                PERCPU_END
                :
                : OBSERVE_INPUTS(index), FIELD(quick_above)
                : "rax", "rcx", "rdx", "r8", "r9", "xmm15", "cc", "memory"
                : fail);
        return true;
fail:
        return false;
}
/* clang-format on */

#else

static inline bool observe_here(uint32_t cell, const struct observed *o, double v)
{
        return false;
}

static inline bool observe_quickly(uint32_t cell, int32_t index, double v)
{
        return false;
}

#endif

/* ---- blocks, with slab_lock held ---------------------------------------------------------- */

static size_t most_tags(const struct native_block *block)
{
        return native_capacity(block) * 3 / 4;
}

static void set_room(struct native_block *block)
{
        const size_t most = most_tags(block), limit = block->native->max_buckets;
        block->room = (uint32_t)(most > limit && block->buckets < limit ? limit : most);
}

static void enter_tag(struct native_block *block, size_t i, uint64_t tag)
{
        block->used++;
        block->buckets += !native_is_zeros(tag);
        STORE_RELEASE(&block->tags[i], tag);
}

/* A new block with the current settings of the series. NULL without memory. */
static struct native_block *block_new(struct native *native, size_t capacity, struct slab *slab)
{
        size_t size = sizeof(struct native_block) + capacity * sizeof(struct pair);
        const size_t tags_at = size;
        size = (size + capacity * sizeof(uint64_t) + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
        struct native_block *block = aligned_alloc(CACHE_LINE, size);
        if (!block)
                return NULL;
        memset(block, 0, size);
        block->tags = (uint64_t *)((char *)block + tags_at);
        block->mask = (uint32_t)capacity - 1;
        block->native = native;
        block->slab = slab;
        block->version = native->version;
        block->epoch = native->epoch;
        block->coarser = (unsigned)(NATIVE_SCHEMA_MAX - native->schema);
        block->zero_threshold = native->zero_threshold;
        block->above = native->zero_threshold;
        block->quick_above = native->zero_threshold > DBL_MIN ? native->zero_threshold : DBL_MIN;
        if (native->n_classic)
                block->quick_above = (double)INFINITY;
        set_room(block);
        block->next = native->blocks;
        block->link = &native->blocks;
        if (block->next)
                block->next->link = &block->next;
        native->blocks = block;
        return block;
}

static void block_free(struct native_block *block)
{
        *block->link = block->next;
        if (block->next)
                block->next->link = block->link;
        free(block);
}

static void add_pair(struct native_block *block, uint64_t tag, const struct pair *pair)
{
        const size_t i = place_of(block, tag);
        struct pair *sum = &block->pairs[i];
        if (block->tags[i] == 0)
                enter_tag(block, i, tag);
        sum->sum = bits_of(double_of(sum->sum) + double_of(pair->sum));
        sum->count += pair->count;
}

/* Replaces *block, which the caller owns, by a block with the current settings and the converted
 * counts, and frees it. False without memory. */
static bool replace(struct native_block **block, size_t capacity)
{
        struct native_block *old = *block;
        struct native_block *new = block_new(old->native, capacity, old->slab);
        if (!new)
                return false;
        const bool counts = old->epoch == new->epoch;
        for (size_t i = 0; counts && i <= old->mask; i++) {
                const uint64_t tag = old->tags[i];
                if (tag == 0)
                        continue;
                const uint64_t plain = prom_native_converted_(old, tag);
                const uint64_t number = plain ? plain : NATIVE_ZEROS << 1;
                add_pair(new, (tag ^ native_plain(tag)) | number, &old->pairs[i]);
        }
        set_room(new);
        block_free(old);
        *block = new;
        return true;
}

/* Makes sure that *block, which the caller owns, has the tag of the observation, replacing the
 * block if it is stale or full. False without memory. */
static bool make_place(struct prom_series *series, const struct observed *o,
                       struct native_block **block)
{
        struct native *native = series->native;
        for (bool limited = false;;) {
                if ((*block)->version != native->version &&
                    !replace(block, native_capacity(*block)))
                        return false;
                struct native_block *b = *block;
                const uint64_t tag = (uint64_t)number_of(b, o) << 1 | o->key;
                const size_t i = place_of(b, tag);
                const bool zeros = native_is_zeros(tag);
                if (b->tags[i] == 0 && b->used < most_tags(b) && (zeros || b->buckets < b->room))
                        enter_tag(b, i, tag);
                if (b->tags[i] != 0)
                        return true;
                const bool limit = !limited && !zeros && b->buckets >= native->max_buckets;
                if (limit)
                        prom_native_limit_(series, native_plain(tag));
                limited |= limit;
                if (!limit && !replace(block, 2 * native_capacity(b)))
                        return false;
        }
}

/* Makes sure that the series has a block in this slab, or if it is NULL in that of the current
 * processor, that is ready for the observation. False without memory or rseq.
 *
 * For a processor's slab: the block that percpu_take() returns is owned by this thread until it is
 * stored back with release, because meanwhile the cell is 0 and sequences fail. The thread may have
 * migrated since; `cells` is the slab it was taken from. Another thread on that processor cannot
 * put a block into the cell in the meantime, because it would need slab_lock. */
static bool make_ready(struct prom_series *series, const struct observed *o, struct slab *slab)
{
        struct native *native = series->native;
        uint64_t *cells = slab ? slab->cells : NULL, word = 0;
        bool ready = false;
        if (!slab && !prom_percpu_make_())
                return false;
        pthread_mutex_lock(&prom_slab_lock_);
        if (slab) {
                pthread_mutex_lock(slab->lock);
                prom_native_held_ = slab;
                word = cells[series->cell];
        }
        if (slab || percpu_take(series->cell, &cells, &word)) {
                struct native_block *block = (struct native_block *)(uintptr_t)word;
                if (!block) /* as large as another block of the series has become */
                        block = block_new(native,
                                          native->blocks ? native_capacity(native->blocks)
                                                         : NATIVE_BLOCK_FIRST,
                                          slab);
                ready = block && make_place(series, o, &block);
                STORE_RELEASE(&cells[series->cell], (uint64_t)(uintptr_t)block);
        }
        if (slab)
                pthread_mutex_unlock(slab->lock);
        prom_native_held_ = NULL;
        pthread_mutex_unlock(&prom_slab_lock_);
        return ready;
}

/* ---- observing ------------------------------------------------------------------------------ */

/* The pair for the observation in a locked slab; NULL if its block is not ready. */
static struct pair *pair_in(const struct slab *slab, const struct prom_series *series,
                            const struct observed *o)
{
        struct native_block *block = (struct native_block *)(uintptr_t)slab->cells[series->cell];
        if (!block || LOAD(&block->stale))
                return NULL;
        const size_t i = place_of(block, (uint64_t)number_of(block, o) << 1 | o->key);
        return block->tags[i] ? &block->pairs[i] : NULL;
}

static __attribute__((noinline)) void observe_slowly(struct prom_series *series, double v)
{
        enum { TRIES = 4 };
        const struct observed o = observed(series, v);
        for (int i = 0; i < TRIES && make_ready(series, &o, NULL); i++)
                if (observe_here(series->cell, &o, v))
                        return;
        for (bool ready = true; ready;) {
                struct slab *slab = prom_slab_take_();
                struct pair *pair = slab ? pair_in(slab, series, &o) : NULL;
                if (pair)
                        prom_pair_add_(pair, v);
                if (slab)
                        prom_slab_give_(slab);
                if (pair)
                        return;
                ready = slab && make_ready(series, &o, slab);
        }
        prom_lose_update_();
}

static __attribute__((noinline)) void observe_any(struct prom_series *series, double v)
{
        if (!prom_admits_(series->family, v))
                return;
        const struct observed o = observed(series, v);
        if (unlikely(!observe_here(series->cell, &o, v)))
                observe_slowly(series, v);
}

/* The common case calls nothing and needs few registers. If v is not a normal positive double, the
 * index is meaningless, but then v is not above quick_above; infinity has no tag. */
void prom_native_observe_(struct prom_series *series, double v)
{
        const uint64_t bits = bits_of(v);
        const int32_t index =
                index_of_parts((int32_t)(bits >> MANTISSA_BITS), bits & MANTISSA_MASK);
        if (unlikely(!observe_quickly(series->cell, index, v)))
                observe_any(series, v);
}

/* ---- series come and go --------------------------------------------------------------------- */

bool prom_native_init_(struct prom_series *series)
{
        const struct prom_family *family = series->family;
        struct native *native = prom_arena_get_(&series->family->arena, sizeof(*native));
        if (!native)
                return false;
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
        pthread_mutex_unlock(&prom_slab_lock_);
}
