/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts allocations: replaces malloc() and its relatives by functions that count and call those of
 * glibc. While counting is off this costs one load. Under sanitizers, which have their own
 * malloc(), nothing is replaced.
 */
#include "harness.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

static bool counting;
static uint64_t allocations;

void bench_allocations_start(void)
{
        __atomic_store_n(&allocations, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&counting, true, __ATOMIC_SEQ_CST);
}

uint64_t bench_allocations_stop(void)
{
        __atomic_store_n(&counting, false, __ATOMIC_SEQ_CST);
        return __atomic_load_n(&allocations, __ATOMIC_SEQ_CST);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static inline void count(void)
{
        if (__builtin_expect(__atomic_load_n(&counting, __ATOMIC_RELAXED), 0))
                __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t n)
{
        count();
        return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
        count();
        return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
        count();
        return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
        count();
        return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
        return memalign(alignment, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
        void *p = memalign(alignment, n);
        if (p)
                *ret = p;
        return p ? 0 : ENOMEM;
}

#endif
